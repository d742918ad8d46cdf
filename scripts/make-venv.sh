#!/usr/bin/env bash
# Makes a Python virtual environment with the packages of a requirements file, or checks the one
# that is there: scripts/make-venv.sh DIR REQUIREMENTS
set -euo pipefail

venv=$1 requirements=$2
stamp=$venv/.requirements
if [ ! -x "$venv/bin/python" ]; then
  "${PYTHON:-python3}" -m venv "$venv"
elif [ ! -f "$stamp" ] && [ ! -w "$venv" ]; then
  exit 0
fi
if ! cmp -s "$requirements" "$stamp"; then
  "$venv/bin/pip" install --quiet --requirement "$requirements"
  cp "$requirements" "$stamp"
fi

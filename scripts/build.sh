#!/usr/bin/env bash
# Configures and builds one preset of CMakePresets.json:
#   scripts/build.sh PRESET [TARGET...]
#   scripts/build.sh PRESET --configure-only
set -euo pipefail
cd "$(dirname "$0")/.."

preset=$1
shift
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! cmake --preset "$preset" >"$log" 2>&1; then
  cat "$log" >&2
  exit 1
fi
[ "${1:-}" != --configure-only ] || exit 0
cmake --build --preset "$preset" -j "${JOBS:-$(nproc)}" ${1:+--target "$@"}

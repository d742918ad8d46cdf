#!/usr/bin/env bash
# Runs the benchmarks of a build, beside their peers where a Python is found that may have them:
# scripts/bench.sh BUILD_DIR VENV
set -euo pipefail
cd "$(dirname "$0")/.."

program=$1/onnxrun_benchmarks venv=$2
for python in "$venv/bin/python" python3; do
  if command -v "$python" >/dev/null; then
    exec "$python" benchmarks/peers.py "$program" ${UPDATE:+--update benchmarks/README.md}
  fi
done
echo "PyTorch and ONNX Runtime are left out: there is no Python here" >&2
exec "$program"

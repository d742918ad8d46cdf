#!/usr/bin/env bash
# Runs the benchmarks of a build, beside their peers where a Python is found that may have them:
# scripts/bench.sh BUILD_DIR VENV
set -euo pipefail
cd "$(dirname "$0")/.."

program=$1/onnxrun_benchmarks command=$1/onnxrun venv=$2
for python in "$venv/bin/python" python3; do
  if command -v "$python" >/dev/null; then
    update=${UPDATE:+--update benchmarks/README.md}
    "$python" benchmarks/peers.py "$program" $update
    echo
    "$python" benchmarks/tables.py "$command" --json "$1/tables.json" $update ||
      echo "the tables of larger nets are incomplete" >&2
    echo
    "$python" benchmarks/quantized.py "$command" $update ||
      echo "the table of quantized nets is incomplete" >&2
    exit
  fi
done
echo "PyTorch and ONNX Runtime are left out: there is no Python here" >&2
exec "$program"

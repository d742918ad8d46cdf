#!/usr/bin/env bash
# Runs the benchmarks of a build, beside their peers where a Python is found that may have them:
# scripts/bench.sh BUILD_DIR VENV...
# The first environment that is there counts. ORT_TRAINING_PYTHON may name a Python for ORT-training,
# AVX2 a command built for AVX2.
set -euo pipefail
cd "$(dirname "$0")/.."

build=$1 program=$1/onnxrun_benchmarks command=$1/onnxrun
shift
peers=(${AVX2:+--avx2 "$AVX2"})
if [ -x "${ORT_TRAINING_PYTHON:-}" ]; then
  peers+=(--ort-training "$ORT_TRAINING_PYTHON")
fi
for python in "${@/%//bin/python}" python3; do
  if command -v "$python" >/dev/null; then
    update=${UPDATE:+--update benchmarks/README.md}
    "$python" benchmarks/peers.py "$program" $update
    echo
    "$python" benchmarks/tables.py "$command" "${peers[@]}" --json "$build/tables.json" $update ||
      echo "the tables of larger nets are incomplete" >&2
    echo
    "$python" benchmarks/quantized.py "$command" $update ||
      echo "the table of quantized nets is incomplete" >&2
    exit
  fi
done
echo "PyTorch and ONNX Runtime are left out: there is no Python here" >&2
exec "$program"

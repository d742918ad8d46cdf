#!/usr/bin/env bash
# The numbers that the README names: facts.sh BUILD_DIR, a folder built by the preset `release`. The
# size of the shared library without symbols, and what it takes from nothing to a first result.
set -euo pipefail

build=$(realpath "$1") here=$(cd "$(dirname "$0")/.." && pwd)
model=$here/examples/models/xor.onnx
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --build "$build" --target onnxrun onnxrun_shared >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
strip -o "$work/libonnxrun.so" "$build/package/libonnxrun.so"
size=$(stat -c %s "$work/libonnxrun.so")
printf 'shared library, stripped: %d.%d MB\n' $((size / 1000000)) $((size / 100000 % 10))

# The best of several: what else the machine does only adds.
best() { sort -g | head -n 1; }
number() { sed -n "s/.*\"$1\": \([0-9.e+-]*\).*/\1/p"; }
for ((k = 0; k < 20; k++)); do
  "$build/onnxrun" bench "$model" --random --dim batch=4 --duration 0.01s --json 2>/dev/null >"$work/bench"
  echo "$(number load_ms <"$work/bench") $(number first_run_ms <"$work/bench")"
done | awk '{ print $1 + $2, $1, $2 }' | best |
  awk '{ printf "first inference of examples/models/xor.onnx: %.1f ms (loading %.1f, first run %.1f)\n", $1, $2, $3 }'

#!/usr/bin/env bash
# Compiles every public header alone, with nothing but the others beside it, under strict warnings:
# public_headers.sh SOURCE_DIR COMPILER...
set -euo pipefail

source_dir=$1
shift
include=$(mktemp -d)
trap 'rm -rf "$include"' EXIT
mkdir "$include/onnxrun"
cp "$source_dir"/runtime/onnxrun/*.h "$source_dir"/api/onnxrun/*.h "$include/onnxrun/"
failed=0
for header in "$include"/onnxrun/*.h; do
  for compiler in "$@"; do
    command -v "$compiler" >/dev/null || continue
    printf '#include <onnxrun/%s>\n' "$(basename "$header")" |
      "$compiler" -std=c++20 -fsyntax-only -x c++ -I"$include" -Wall -Wextra -Wpedantic \
        -Wconversion -Werror - || failed=1
  done
done
for compiler in cc clang-14; do
  command -v "$compiler" >/dev/null || continue
  "$compiler" -std=c99 -fsyntax-only -x c -Wall -Wextra -Wpedantic -Wconversion -Werror \
    "$source_dir/api/onnxrun.h" || failed=1
done
if grep -nE '#include (<(fmt|google|onnx|tbb|oneapi|hwy)|"(base|tensor|graph|plan|passes|training)/)' \
    "$include"/onnxrun/*.h; then
  failed=1
fi
exit $failed

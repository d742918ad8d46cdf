#!/usr/bin/env bash
# Seeds for the fuzz targets, from the tests' data and the examples: make_corpora.sh PATH/onnxrun FOLDER
set -euo pipefail

onnxrun=$(realpath "$1") here=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$2"/{model,step,readers,checkpoint}
out=$(realpath "$2")

# Large files change too little for their size.
while read -r file; do
  name=$(sha1sum "$file" | cut -c1-16)
  cp "$file" "$out/model/$name"
  [ "$(stat -c %s "$file")" -gt 20000 ] || cp "$file" "$out/step/$name"
done < <(find "$here/tests/data" "$here/examples" -name '*.onnx' -size -60k)

# The order of fuzz/readers.cpp.
suffixes=(.npy .npz .csv .tsv .idx .npy.gz .csv.gz .safetensors .png .jpg .bmp .webp .ppm .pb .raw inline
  -ubyte.gz)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here"/tests/data/formats/* "$work"
tr , '\t' <"$work/table.csv" >"$work/table.tsv"
gzip -k "$work"/{matrix,cube_fortran}.npy "$work/table.csv"
head -c 48 /dev/zero >"$work/zeros.raw"
printf '[[0,1.5],[-1e3,inf]]' >"$work/inline"
printf 'i64:[[1,2],[3,4]]' >"$work/integers-inline"
find "$here/tests/data/corpus" -name 'input_0.pb' -size -20k | sort | sed -n 1,20p | while read -r file; do
  cp "$file" "$work/$(sha1sum "$file" | cut -c1-16).pb"
done
for k in "${!suffixes[@]}"; do
  for file in "$work"/*"${suffixes[k]}"; do
    [ -f "$file" ] || continue
    { printf "\\x$(printf %x "$k")"; cat "$file"; } >"$out/readers/$k-$(basename "$file")"
  done
done

# 137 is .npz, too, with sums that are mended.
for file in "$work"/*.npz; do
  { printf '\x89'; cat "$file"; } >"$out/readers/137-$(basename "$file")"
done

# A checkpoint of the very training that fuzz/checkpoint.cpp goes on with, and of others.
cd "$work"
printf 'a,b,target\n0,0,0\n0,1,1\n1,0,1\n1,1,0\n' >xor.csv
for optimizer in adam sgd momentum; do
  "$onnxrun" train "$here/examples/models/xor.onnx" --data 'x=[[0,0],[0,1],[1,0],[1,1]]' \
    --data 'target=[[0],[1],[1],[0]]' --optimizer "$optimizer" --lr 0.01 --batch-size 2 --epochs 2 \
    --loss mse --checkpoint-dir "$optimizer" -o "$optimizer.onnx" -q --threads 1
  cp "$(find "$optimizer" -name '*.npz' | sort | tail -n 1)" "$out/checkpoint/$optimizer.npz"
done
for folder in "$out"/*/; do echo "$(find "$folder" -type f | wc -l) seeds in $folder"; done

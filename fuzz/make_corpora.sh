#!/usr/bin/env bash
# Seeds for the fuzz targets, from the tests' data and the examples: make_corpora.sh PATH/onnxrun FOLDER
set -euo pipefail

onnxrun=$(realpath "$1") here=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$2"/{model,step,readers,checkpoint,config}
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
# Options of commands, in files as they print them; the numbers are the commands' places in `onnxrun --help`.
config() {
  local place=$1
  shift
  { printf "\\x$(printf %x "$place")"; "$onnxrun" "$@" --print-config; } >"$out/config/$place-$1"
}
config 0 run a.onnx -i 'x=[[0,1.5]]' --dim batch=4 --shape 'x=4x2' --range 'x=-1..1' --top 3 --outputs y,z \
  --threads 2 --max-memory 2G --max-tensor 100M --timeout 30s --external-data deny --optimize 1 --json
config 1 train a.onnx --data x.npz --target y=t --batch-size 8 --val-split 0.1 --fold 1/5 --metrics accuracy,mae \
  --epochs 3 --lr-schedule step:2 --warmup 10 --augment flip,shift:2 --early-stop val_loss --save-every 5s \
  --loss '0.5*mse' --class-weights 1,2 --optimizer adam --lr 0.01 --only 'fc*' --lr-mult 'fc*=0.1' --init 'b*=zero' \
  --ema 0.99 --new-classes 3 --batchnorm frozen --dropout off --precision float64 -o b.onnx
config 2 eval a.onnx --data 'x=x.csv:1-3' --scale x=255 --input x=pixels --confusion c.csv --stream always
config 3 inspect a.onnx --stage machine --stop-after fold --shape x=1x3
config 4 check a.onnx --strict --trainable
config 5 compare a.onnx --ref b.onnx --random --rtol 1e-3 --atol 1e-5 --all-nodes
config 6 convert a.onnx -o b.onnx --opset 17 --extract-outputs y --to float16 --keep-io --rename a=b --set-dim n=4
config 7 grad a.onnx -i x=x.npy --of y --wrt x,w --cotangent y=c.npy --check --double
config 8 step a.onnx --in-place --initialize --data x.npz --max-steps 7
config 9 test models -k conv -k pool -j 2 --junit out.xml
config 10 bench a.onnx --train --loss bce --warmup 2 --duration 500ms --percentile 50,99 --concurrency 2
config 11 profile a.onnx --by shape --memory --trace t.json --rows 5
config 12 plot a.onnx -o p.svg --x x=-1..1 --theme dark --title 'A "title"' --boundary 0.5
config 17 completion bash
cat >"$work/run.toml" <<'END'
# For several commands.
model = 'a.onnx'
[train]
loss = "bce"  # and more
data = ["x=[[0,0]]",
        'target=[[0]]']
lr = +5e-2
no_shuffle = true
[ "eval" ]
metrics = "\u00e9\U0001F600\\"
END
{ printf '\1'; cat "$work/run.toml"; } >"$out/config/1-tables"
{ printf '\2'; cat "$work/run.toml"; } >"$out/config/2-tables"
printf '\1optimizer = "adam"\nlr = 0.01\nmax_memory = 100000\nclip_norm = 1\n' \
  >"$out/config/1-trainer"

for folder in "$out"/*/; do echo "$(find "$folder" -type f | wc -l) seeds in $folder"; done

#!/usr/bin/env bash
# The first tour (`make demo`): an XOR net as PyTorch exported it, with random weights, is looked at,
# run, trained, written back and run again. Results go to demo-out/.
set -euo pipefail
cd "$(dirname "$0")/.."

PATH=$PWD/build:$PATH
model=examples/models/xor.onnx
inputs='x=[[0,0],[0,1],[1,0],[1,1]]'
mkdir -p demo-out

say() { printf '\n# %s\n' "$1"; }
show() {
  printf '$'
  printf ' %q' "$@"
  printf '\n'
  "$@"
}

say "What PyTorch wrote:"
show onnxrun inspect $model

say "Its weights are random, so its answers are wrong (right are 0, 1, 1, 0):"
show onnxrun run $model -i "$inputs"

say "Training it on the four cases:"
show onnxrun train $model --data examples/data/xor.npz --loss bce --optimizer sgd --lr 0.5 \
  --epochs 1000 --batch-size 4 -q --plot demo-out/loss.svg -o demo-out/xor-trained.onnx

say "The file it wrote gives the right answers:"
show onnxrun run demo-out/xor-trained.onnx -i "$inputs"

say "Written: demo-out/xor-trained.onnx and its data file; demo-out/loss.svg, the loss curve."

#!/usr/bin/env bash
# Reads every layer as one unit: scripts/one-unit.sh BUILD_DIR, which has to be configured. Where that
# is possible no two files of a layer have a name of their own in common, so units of any files are,
# and a new file cannot break the build of others.
set -euo pipefail
cd "$(dirname "$0")/.."

units=()
for layer in runtime data ops importer exporter api tools; do
  units+=("CMakeFiles/onnxrun_$layer.dir/Unity/unity_0_cxx.cxx.o")
done
ninja -C "$1" -j "${JOBS:-$(nproc)}" -k 0 --quiet "${units[@]}"

#!/usr/bin/env bash
# Runs each fuzz target for a while, on one core: run.sh BUILD_FOLDER PATH/onnxrun SECONDS [TARGET...]
# Corpora grow in BUILD_FOLDER/corpora, findings lie in BUILD_FOLDER/findings, counts of executions are
# printed at the end. Exit code 1 if there was a finding.
set -uo pipefail

build=$(realpath "$1") onnxrun=$(realpath "$2") seconds=$3
shift 3
here=$(cd "$(dirname "$0")" && pwd)
[ $# -gt 0 ] || set -- model readers checkpoint step config
mkdir -p "$build/findings"
"$here/make_corpora.sh" "$onnxrun" "$build/corpora" >/dev/null || exit 1
failed=0
for target in "$@"; do
  log=$build/findings/$target.log
  "$build/fuzz_$target" "$build/corpora/$target" -dict="$here/onnxrun.dict" -max_len=16384 -entropic=0 \
    -timeout=60 -rss_limit_mb=2048 -max_total_time="$seconds" -print_final_stats=1 \
    -artifact_prefix="$build/findings/$target-" >"$log" 2>&1 || { failed=1; tail -n 30 "$log"; }
  echo "$target: $(grep -o 'number_of_executed_units: [0-9]*' "$log" | tail -n 1)"
done
exit $failed

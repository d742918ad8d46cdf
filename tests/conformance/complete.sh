#!/usr/bin/env bash
# complete.sh FOLDER PASSING PAGE: every case of the folder is in the list of those that pass or, with its reason, in the page's
# table; none is in both.
set -euo pipefail
cases=$(find "$1" -name model.onnx -printf '%h\n' | xargs -n1 basename | sort -u)
failing=$(grep '^|' "$3" | grep -oE '\btest_[a-z0-9_]+' | sort -u)
both=$(comm -12 <(sort -u "$2") <(echo "$failing"))
neither=$(comm -23 <(echo "$cases") <(sort -u "$2" <(echo "$failing")))
[ -n "$cases" ] && [ -z "$both$neither" ] || { echo "in both: $both"; echo "in neither: $neither"; exit 1; }

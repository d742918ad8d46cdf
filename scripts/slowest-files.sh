#!/usr/bin/env bash
# Prints the ten files that took longest to compile, in seconds, and the sum over all of them:
# scripts/slowest-files.sh BUILD_DIR
set -euo pipefail

awk -F'\t' '
  /\.(o|gch)\t/ { seconds[$4] = ($2 - $1) / 1000 }
  END {
    for (file in seconds) {
      sum += seconds[file]
      name = file
      sub(/.*\.dir\//, "", name)
      printf "%8.1f  %s\n", seconds[file], name | "sort -rn | head -n 10"
    }
    close("sort -rn | head -n 10")
    printf "%8.1f  seconds of compiling in all\n", sum
  }' "$1/.ninja_log"

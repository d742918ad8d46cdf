#!/usr/bin/env bash
# Prints the ten files, or units of files, that took longest to compile, in seconds, and the sum over
# all of them: scripts/slowest-files.sh BUILD_DIR
set -euo pipefail

awk -F'\t' -v build="$1" '
  # The files of a unit, by their names without folders.
  function parts(unit,   line, names) {
    while ((getline line < (build "/" unit)) > 0) {
      if (line !~ /^#include "/) continue
      gsub(/.*\/|"$/, "", line)
      names = names " " line
    }
    return names
  }
  /\.(o|gch)\t/ { seconds[$4] = ($2 - $1) / 1000 }
  END {
    for (file in seconds) {
      sum += seconds[file]
      name = file
      if (sub(/\.o$/, "", name) && name ~ /\/Unity\//) {
        name = parts(name)
      } else {
        sub(/.*\.dir\//, "", name)
      }
      printf "%8.1f  %s\n", seconds[file], name | "sort -rn | head -n 10"
    }
    close("sort -rn | head -n 10")
    printf "%8.1f  seconds of compiling in all\n", sum
  }' "$1/.ninja_log"

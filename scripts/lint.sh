#!/usr/bin/env bash
# Runs clang-tidy with the checks of .clang-tidy: scripts/lint.sh BUILD_DIR [FILE.cpp...]
# Without files: over all that git knows and the build compiles. Files that are compiled in a unit are
# read in it. BUILD_DIR has to be configured.
set -euo pipefail
cd "$(dirname "$0")/.."

build=$1
shift
if [ $# -eq 0 ]; then
  mapfile -t tracked < <(git ls-files '*.cpp')
  set -- "${tracked[@]}"
fi

check() {
  # The build is g++'s, with options that clang does without.
  local out extra=(--extra-arg=-Wno-unused-command-line-argument)
  # A name of one file may stand for another thing in the next.
  [[ $2 != *.cxx ]] || extra+=(--extra-arg=-Wno-shadow)
  if ! out=$(clang-tidy --quiet -p "$1" "${extra[@]}" "$2" 2>&1); then
    printf '%s\n' "$out" | grep -vE '^[0-9]+ warnings? .*generated\.$'
    return 1
  fi
}
export -f check

# What the compiler is given for each file: the file, or its unit.
compiled() {
  local file
  for file in "$@"; do
    if grep -qF "\"file\": \"$PWD/$file\"" "$build/compile_commands.json"; then
      printf '%s\n' "$file"
    else
      grep -rlF "#include \"$PWD/$file\"" "$build/tests/CMakeFiles" --include='unity_*.cxx' || true
    fi
  done | sort -u
}

compiled "$@" | xargs -r -P "${JOBS:-$(nproc)}" -I{} bash -c 'check "$0" "$1"' "$build" {}

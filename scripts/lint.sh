#!/usr/bin/env bash
# Runs clang-tidy with the checks of .clang-tidy: scripts/lint.sh BUILD_DIR [FILE.cpp...]
# Without files: over all that git knows and the build compiles. BUILD_DIR has to be configured.
set -euo pipefail
cd "$(dirname "$0")/.."

build=$1
shift
if [ $# -eq 0 ]; then
  mapfile -t tracked < <(git ls-files '*.cpp')
  set -- "${tracked[@]}"
fi

check() {
  local out
  if ! out=$(clang-tidy --quiet -p "$1" "$2" 2>&1); then
    printf '%s\n' "$out" | grep -vE '^[0-9]+ warnings? .*generated\.$'
    return 1
  fi
}
export -f check

for file in "$@"; do
  if grep -qF "\"file\": \"$PWD/$file\"" "$build/compile_commands.json"; then
    printf '%s\n' "$file"
  fi
done | xargs -r -P "${JOBS:-$(nproc)}" -I{} bash -c 'check "$0" "$1"' "$build" {}

#!/usr/bin/env bash
# Runs the commands of a README of examples/ and compares what they print with what the page says:
#
#   scripts/run-readme.sh BUILD_DIR examples/NAME/README.md
#
# A command is a line "    $ COMMAND", going on in the next line where it ends with a backslash; the
# lines below, as far as they are indented, are its output, "..." for any number of lines. Numbers may
# be 0.2 % or 0.001 off, times ("0.2 s") are anything. All run one after another in a copy of examples/,
# with BUILD_DIR as build/ beside it and onnxrun on the path. Every picture that the page shows must
# be one that its commands wrote. Exit code 1 if something differs.
set -euo pipefail

build=$(realpath "$1") readme=$(realpath "$2")
folder=$(dirname "$readme") name=$(basename "$(dirname "$readme")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r "$(dirname "$folder")" "$work/examples"
ln -s "$build" "$work/build"
here=$work/examples/$name
rm -f "$here"/*.svg "$here"/*.png
export PATH=$build:$PATH LC_ALL=C NO_COLOR=1
failed=0 count=0 command= expected=

# compare EXPECTED ACTUAL: nothing printed if they agree, else the first line that does not.
compare() {
  awk '
    function same(a, b,   x, y, n, i, p, q, off) {
      gsub(/[0-9.]+ s([^a-z]|$)/, "T s", a); gsub(/[0-9.]+ s([^a-z]|$)/, "T s", b)
      gsub(/[][(),;]/, " & ", a); gsub(/[][(),;]/, " & ", b)
      n = split(a, x, /[ \t=]+/)
      if (split(b, y, /[ \t=]+/) != n) return 0
      for (i = 1; i <= n; i++) {
        if (x[i] == y[i]) continue
        p = x[i]; q = y[i]
        if (p !~ /^-?[0-9]+(\.[0-9]*)?(e[-+]?[0-9]+)?%?$/ || q !~ /^-?[0-9]+(\.[0-9]*)?(e[-+]?[0-9]+)?%?$/) return 0
        off = p - q; if (off < 0) off = -off
        p += 0; if (p < 0) p = -p
        if (off > 0.002 * p && off > 0.001) return 0
      }
      return 1
    }
    function match_from(e, a,   k) {
      for (; e <= ne; e++) {
        if (want[e] == "...") {
          for (k = a; k <= na + 1; k++) if (match_from(e + 1, k)) return 1
          return 0
        }
        if (a > na || !same(want[e], got[a])) { if (a > far) far = a; return 0 }
        a++
      }
      if (a > na) return 1
      if (a > far) far = a
      return 0
    }
    NR == FNR { want[++ne] = $0; next }
    { got[++na] = $0 }
    END { if (!match_from(1, 1)) print "differs in line " far ": " (far > na ? "(no more)" : got[far]) }
  ' "$1" "$2"
}

# Runs what was read, if there is something.
finish() {
  [ -n "$command" ] || return 0
  local began=$EPOCHREALTIME difference
  printf '$ %s\n' "$command"
  (cd "$here" && exec bash -o pipefail -c "$command") </dev/null >"$work/actual" 2>&1 || true
  cat "$work/actual"
  printf '%s' "$expected" >"$work/expected"
  # Blank lines at the end belong to the page.
  sed -i -e :a -e '/^\n*$/{$d;N;ba' -e '}' "$work/expected" "$work/actual"
  difference=$(compare "$work/expected" "$work/actual")
  if [ -n "$difference" ]; then
    failed=$((failed + 1))
    printf '%s: %s\nthe page says:\n%s\n' "$readme" "$difference" "$expected"
  fi
  printf '# %.1f s\n\n' "$(awk "BEGIN { print $EPOCHREALTIME - $began }")"
  count=$((count + 1)) command= expected=
}

continued=
while IFS= read -r line || [ -n "$line" ]; do
  if [ -n "$continued" ]; then
    command+=$'\n'$line
  elif [[ $line == '    $ '* ]]; then
    finish
    command=${line#'    $ '}
  else
    if [[ $line == '    '* && -n $command ]]; then
      expected+=${line#'    '}$'\n'
    elif [ -z "$line" ] && [ -n "$expected" ]; then
      expected+=$'\n'
    else
      finish
    fi
    continue
  fi
  if [[ $line == *\\ ]]; then continued=1; else continued=; fi
done <"$readme"
finish

for picture in $(grep -o '\(src\|srcset\)="[^"]*' "$readme" | cut -d'"' -f2 | sort -u); do
  if [ ! -s "$here/$picture" ]; then
    failed=$((failed + 1))
    echo "$readme: $picture was not made"
  elif [ -e "$folder/$picture" ] && ! cmp -s "$folder/$picture" "$here/$picture"; then
    echo "$readme: $picture is not the one that lies there (it may, on another processor)"
  fi
done
echo "$name: $count commands, $failed differ"
[ "$failed" -eq 0 ] && [ "$count" -gt 0 ]

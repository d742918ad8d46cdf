#!/usr/bin/env bash
# Runs one file of command-line tests: tests/cli/run.sh PATH/onnxrun DATA_DIR FILE.test [LINE]
#
# A test file is text. A line that is not indented is a comment. Lines indented by two spaces are
# commands and what they must print:
#
#   Running a model that is not there is an error.
#
#     $ onnxrun run missing.onnx
#     2> onnxrun: error: missing.onnx: {{.*}}
#     [3]
#
#   $ COMMAND       a bash command line (pipefail is set); a line "> MORE" goes on with it
#   TEXT            a line of its standard output
#   2> TEXT         a line of its standard error
#   [N]             its exit code; without this line it must be 0
#
# Output must match line for line and to the end, and standard error must be empty where nothing is
# expected. In a line {{REGEX}} stands for what the POSIX extended regular expression matches; a
# line "..." stands for any number of lines, "2> ..." for any number of lines on standard error.
#
# All commands of one file run one after another in one empty temporary directory. $DATA is the
# directory tests/data, onnxrun is the binary under test. With LINE only the case that this line of
# the file belongs to runs. The last line printed is "N passed, N failed"; exit code 1 if one failed
# or none ran.
set -uo pipefail
shopt -s extglob

onnxrun=$(realpath "$1") DATA=$(realpath "$2") file=$(realpath "$3") only=${4:-}
export DATA LC_ALL=C NO_COLOR=1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin" "$work/dir"
ln -s "$onnxrun" "$work/bin/onnxrun"
export PATH=$work/bin:$PATH
passed=0 failed=0

# The regular expression of one expected line: literal text escaped, {{...}} as it stands.
line_regex() {
  local rest=$1 regex= literal
  while [[ $rest == *'{{'*'}}'* ]]; do
    literal=${rest%%'{{'*} rest=${rest#*'{{'}
    regex+=$(escape "$literal")"(${rest%%'}}'*})"
    rest=${rest#*'}}'}
  done
  printf '%s' "^$regex$(escape "$rest")\$"
}

escape() {
  printf '%s' "$1" | sed 's/[][\.*^$+?(){}|/]/\\&/g'
}

# matches EXPECTED_INDEX ACTUAL_INDEX: whether the rest of regexes[] matches the rest of actual[].
matches() {
  local e=$1 a=$2
  while [ "$e" -lt ${#regexes[@]} ]; do
    if [ "${regexes[e]}" = ... ]; then
      for (( ; a <= ${#actual[@]}; a++)); do
        if matches $((e + 1)) "$a"; then return 0; fi
      done
      return 1
    fi
    [ "$a" -lt ${#actual[@]} ] && [[ ${actual[a]} =~ ${regexes[e]} ]] || return 1
    e=$((e + 1)) a=$((a + 1))
  done
  [ "$a" -eq ${#actual[@]} ]
}

# check_stream NAME ACTUAL_FILE EXPECTED_LINE...
check_stream() {
  local name=$1 path=$2 line
  shift 2
  regexes=()
  for line in "$@"; do
    if [ "$line" = ... ]; then regexes+=(...); else regexes+=("$(line_regex "$line")"); fi
  done
  mapfile -t actual <"$path"
  if ! matches 0 0; then
    echo "  $name expected:"
    [ $# -eq 0 ] || printf '    %s\n' "$@"
    echo "  $name found:"
    sed 's/^/    /' "$path"
    return 1
  fi
}

run_case() {
  local code report
  [ -n "$command" ] || return 0
  if [ -n "$only" ] && { [ "$only" -lt "$command_line" ] || [ "$only" -ge "$number" ]; }; then
    return 0
  fi
  (cd "$work/dir" && exec bash -o pipefail -c "$command") \
    </dev/null >"$work/stdout" 2>"$work/stderr"
  code=$?
  report=$(
    [ "$code" = "$expected_code" ] || echo "  exit code expected: $expected_code, found: $code"
    check_stream stdout "$work/stdout" ${out[@]+"${out[@]}"}
    check_stream stderr "$work/stderr" ${err[@]+"${err[@]}"}
  )
  if [ -z "$report" ]; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    printf '%s:%s: $ %s\n%s\n' "$file" "$command_line" "$command" "$report"
  fi
}

command= command_line=0 expected_code=0 out=() err=() blanks=0 number=0
while IFS= read -r line || [ -n "$line" ]; do
  number=$((number + 1))
  case $line in
    '  $ '*)
      run_case
      command=${line#'  $ '} command_line=$number expected_code=0 out=() err=() blanks=0
      ;;
    '  > '*) command+=$'\n'${line#'  > '} ;;
    '  2> '*) err+=("${line#'  2> '}") ;;
    '  ['+([0-9])']') expected_code=${line//[^0-9]/} ;;
    '  '*)
      # Blank lines count only between two lines of output: editors strip trailing spaces.
      for (( ; blanks > 0; blanks--)); do out+=(''); done
      out+=("${line#'  '}")
      ;;
    '') [ ${#out[@]} -eq 0 ] || blanks=$((blanks + 1)) ;;
    *) blanks=0 ;;
  esac
done <"$file"
number=$((number + 1))
run_case

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]

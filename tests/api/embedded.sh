#!/usr/bin/env bash
# A project of somebody else's takes onnxrun in by add_subdirectory and by FetchContent, with names,
# warnings and tests of its own: embedded.sh BUILD_DIR SOURCE_DIR. Its program is compiled and linked
# as it says, but with the archives that BUILD_DIR has: to compile them anew would take minutes.
set -euo pipefail

build=$1 source=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

bad() { echo "$1: $2"; exit 1; }

take_in() {
  local way=$1 inside=$2 take=$3 project=$work/$1
  mkdir -p "$project/build"
  cp "$source/examples/embed/main.cpp" "$project"
  cat >"$project/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.25)
project(stranger LANGUAGES CXX)
enable_testing()
$take
foreach(name IN ITEMS examples lint packages tests documents command library)
  add_custom_target(\${name})
endforeach()
add_executable(embed main.cpp)
target_compile_options(embed PRIVATE -Wall -Wextra -Wpedantic -Wconversion -Werror)
target_link_libraries(embed PRIVATE onnxrun::onnxrun)
add_test(NAME stranger.runs COMMAND embed)
install(TARGETS embed)
END
  (
    cd "$project/build"
    cmake -G Ninja -DCMAKE_BUILD_TYPE=Release .. >log 2>&1 || { cat log; exit 1; }

    # Their targets and tests are theirs alone, and what they build is what they link.
    ninja -t targets all | grep -iE '(onnxrun_tests|fuzz_|example_|benchmark)' && bad "$way" "targets of ours"
    ctest -N | grep -q 'Total Tests: 1$' || bad "$way" "tests of ours"
    [ "$(grep -c 'install(TARGETS\|file(INSTALL' cmake_install.cmake)" -eq 1 ] || bad "$way" "installs more"
    ! grep -q 'file(INSTALL' "$inside/cmake_install.cmake" || bad "$way" "installs ours"
    ninja -n -d explain all >plan 2>/dev/null
    ! grep -q "tools/.*\.o$\|Linking.* onnxrun$" plan || bad "$way" "builds the command"
    grep -q 'CMAKE_CXX_STANDARD' CMakeCache.txt && bad "$way" "sets their language"

    # Their file sees the public headers, C++20 and their own warnings; ours are no errors there.
    ninja -t commands CMakeFiles/embed.dir/main.cpp.o | tail -n 1 >command
    grep -q -- '-std=\(gnu++20\|c++20\|gnu++2a\)' command || bad "$way" "no C++20: $(cat command)"
    for word in -Wshadow -ffp-contract "-I$source/" fmt SPDLOG HWY; do
      ! grep -q -- "$word" command || bad "$way" "$word in $(cat command)"
    done
    ninja -t commands embed | grep -- "-c $source" >ours
    [ -s ours ] || bad "$way" "nothing of ours is built"
    ! grep -q -- -Werror ours || bad "$way" "our warnings are errors"
    ninja CMakeFiles/embed.dir/main.cpp.o >log || { cat log; exit 1; }

    for archive in "$build"/libonnxrun*.a; do ln -sf "$archive" "$inside"; done
    ninja -t commands embed | tail -n 1 | sh
    ./embed "$source/examples/models/xor.onnx" >out
    [ "$(grep -c '^y\[.\] = 0\.' out)" -eq 4 ] || bad "$way" "$(cat out)"
  )
}

take_in add_subdirectory inside "add_subdirectory($source inside)"
take_in FetchContent _deps/onnxrun-build "include(FetchContent)
FetchContent_Declare(onnxrun SOURCE_DIR $source)
FetchContent_MakeAvailable(onnxrun)"

#!/usr/bin/env bash
# Installs the library as a stranger would and builds a project of theirs with it, by CMake and by
# pkg-config: install.sh BUILD_DIR SOURCE_DIR. The shared library's names are api/exported_symbols.txt's.
set -euo pipefail

build=$1 source=$2
here=$source/tests/api
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --build "$build" --target packages >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
cmake --install "$build" --prefix "$work/usr" >"$work/log"
model=$source/examples/models/xor.onnx

cmake -S "$source/examples/embed" -B "$work/build" -DCMAKE_PREFIX_PATH="$work/usr" -DEMBED_STATIC=ON \
  -DCMAKE_CXX_FLAGS="-Wall -Wextra -Wpedantic -Wconversion -Werror" >"$work/log"
cmake --build "$work/build" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
"$work/usr/bin/onnxrun" run "$model" -i 'x=[[0,0],[0,1],[1,0],[1,1]]' -o "$work/y.npy" >"$work/log"
"$work/build/embed" "$model" >"$work/shared"
"$work/build/embed_static" "$model" >"$work/static"
cmp "$work/shared" "$work/static"
[ "$(grep -c '^y\[.\] = 0\.' "$work/shared")" -eq 4 ]
if "$work/build/embed" /nowhere.onnx 2>"$work/error"; then exit 1; fi
grep -q '^/nowhere.onnx: ' "$work/error"

for file in man/man1/onnxrun.1 man/man1/onnxrun-train.1 bash-completion/completions/onnxrun \
  zsh/site-functions/_onnxrun fish/vendor_completions.d/onnxrun.fish; do
  [ -s "$work/usr/share/$file" ] || { echo "$file is not installed"; exit 1; }
done

library=$(find "$work/usr" -name 'libonnxrun.so')
pc=$(find "$work/usr" -name pkgconfig)
# shellcheck disable=SC2046
c++ $(PKG_CONFIG_PATH=$pc pkg-config --cflags onnxrun) "$source/examples/embed/main.cpp" \
  -o "$work/by_pkg_config" $(PKG_CONFIG_PATH=$pc pkg-config --libs onnxrun)
LD_LIBRARY_PATH=$(dirname "$library") "$work/by_pkg_config" "$model" | cmp - "$work/shared"
# shellcheck disable=SC2046
c++ $(PKG_CONFIG_PATH=$pc pkg-config --cflags onnxrun) "$source/examples/embed/main.cpp" \
  -o "$work/static_by_pkg_config" \
  $(PKG_CONFIG_PATH=$pc pkg-config --static --libs onnxrun | sed 's/-lonnxrun /-l:libonnxrun.a /')
"$work/static_by_pkg_config" "$model" | cmp - "$work/shared"

# The same from C, and from whatever calls C.
# shellcheck disable=SC2046
cc -std=c99 -Wall -Wextra -Wpedantic -Wconversion -Werror \
  $(PKG_CONFIG_PATH=$pc pkg-config --cflags onnxrun-c) "$here/c_program.c" -o "$work/c_program" \
  $(PKG_CONFIG_PATH=$pc pkg-config --libs onnxrun-c) -lm
LD_LIBRARY_PATH=$(dirname "$library") "$work/c_program" "$model" "$work"

# Weak ones are inline functions, which are there or not as the compiler inlines them.
nm -DC --defined-only "$library" | grep -v ' W ' | cut -d' ' -f3- | sort -u >"$work/symbols"
if ! diff "$here/exported_symbols.txt" "$work/symbols"; then
  echo "the names that the library shows have changed; tests/api/exported_symbols.txt lists them"
  exit 1
fi

# The packages, where there is what makes them: each file in the one that it belongs to.
generators=TGZ
! command -v dpkg-shlibdeps >/dev/null || generators="TGZ;DEB"
(cd "$build" && cpack -B "$work/packages" -G "$generators") >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
tar tzf "$work"/packages/onnxrun-*.tar.gz >"$work/files"
holds() { grep -q "$2" "$1" || { echo "no $2 in $(basename "$1")"; exit 1; }; }
for file in bin/onnxrun include/onnxrun.h libonnxrun.so.0 libonnxrun.a onnxrun-config.cmake onnxrun.pc; do
  holds "$work/files" "$file"
done
[ "$generators" != TGZ ] || exit 0
for package in libonnxrun0:libonnxrun.so.0 libonnxrun-dev:include/onnxrun/session.h \
  libonnxrun-dev:libonnxrun.so libonnxrun-dev:libonnxrun.a onnxrun:bin/onnxrun onnxrun:man1/onnxrun.1; do
  deb=$(echo "$work"/packages/"${package%%:*}"_*.deb)
  dpkg-deb -c "$deb" >"$work/${package%%:*}.list"
  holds "$work/${package%%:*}.list" "${package#*:}"
done
for deb in "$work"/packages/*.deb; do dpkg-deb -x "$deb" "$work/root"; done
# shellcheck disable=SC2046
c++ $(PKG_CONFIG_PATH=$work/root/usr/lib/pkgconfig pkg-config --cflags onnxrun) \
  "$source/examples/embed/main.cpp" -o "$work/by_packages" \
  $(PKG_CONFIG_PATH=$work/root/usr/lib/pkgconfig pkg-config --libs onnxrun)
LD_LIBRARY_PATH=$work/root/usr/lib "$work/by_packages" "$model" | cmp - "$work/shared"
! grep -q 'include/\|bin/' "$work/libonnxrun0.list" || { echo "libonnxrun0 holds more than the library"; exit 1; }
dpkg-deb -f "$work"/packages/libonnxrun0_*.deb Depends | grep -q libprotobuf

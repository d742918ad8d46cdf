#!/usr/bin/env bash
# Installs what the build needs from the distribution's packages (Debian 12 and its descendants).
# Says nothing and needs no network when everything is there.
#
#   scripts/install-deps.sh             what `make` and `make test` need
#   scripts/install-deps.sh interop     the same, and what `make test-interop` needs
#   scripts/install-deps.sh lint        the same, and what `make lint` and `make format` need
#   scripts/install-deps.sh fuzz        the same, and what `make fuzz` needs
set -euo pipefail

packages=(
  g++ cmake ninja-build pkg-config
  libonnx-dev libprotobuf-dev protobuf-compiler
  libtbb-dev libhwy-dev
  libspdlog-dev libfmt-dev libcli11-dev nlohmann-json3-dev zlib1g-dev
  libpng-dev libcairo2-dev libturbojpeg0-dev libwebp-dev libtiff-dev libopenjp2-7-dev libre2-dev
  libopenblas0-serial # loaded for --products openblas
  libgtest-dev libbenchmark-dev
)
for purpose in "$@"; do
  case $purpose in
    interop) packages+=(python3 python3-venv ca-certificates nodejs) ;;
    fuzz) packages+=(clang) ;;
    lint) packages+=(git clang-format clang-tidy) ;;
    *) echo "install-deps: unknown purpose '$purpose' (interop, lint or fuzz)" >&2; exit 2 ;;
  esac
done

if ! command -v dpkg-query >/dev/null; then
  echo "install-deps: this is no Debian-like system; install the equivalents of: ${packages[*]}" >&2
  exit 1
fi

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

sudo=()
if [ "$(id -u)" -ne 0 ]; then
  # Without a terminal sudo may only be used where it asks for no password.
  if command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
    sudo=(sudo)
  else
    echo "onnxrun needs packages that are not installed. As root, run:" >&2
    echo "apt-get update && apt-get install -y --no-install-recommends ${missing[*]}" >&2
    exit 1
  fi
fi

echo "installing: ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
"${sudo[@]}" apt-get update -qq </dev/null >&2
"${sudo[@]}" env DEBIAN_FRONTEND="$DEBIAN_FRONTEND" apt-get install -y -qq --no-install-recommends \
  "${missing[@]}" </dev/null >&2

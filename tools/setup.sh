#!/bin/bash
# setup.sh - installs what is missing to build, run and test necpnet on Debian 12; elsewhere says what to install.
#
#   tools/setup.sh             everything: build, tests, fuzzers, WebAssembly, Windows, browser and backend tests
#   tools/setup.sh --minimal   what `make run` needs
#   tools/setup.sh --list      the packages, and nothing else
#
# Idempotent, and quick when nothing is missing. Uses root's rights only for apt-get, through sudo where it must.
set -u
cd "$(dirname "$0")/.." || exit 1

minimal=(build-essential cmake ninja-build pkg-config python3 libmbedtls-dev libcivetweb-dev liblz4-dev libcjson-dev
    libjwt-dev libsqlite3-dev libcurl4-gnutls-dev zlib1g-dev libopus-dev libspeexdsp-dev libsodium-dev emscripten esbuild)
full=(git curl ca-certificates ccache clang clang-format libclang-rt-14-dev gdb gcovr valgrind
    gcc-mingw-w64-x86-64 g++-mingw-w64-x86-64 wine wine64 chromium libenet-dev libwebsockets-dev dpkg-dev prometheus
    apache2-utils slowhttptest iproute2 nftables
    nginx-light espeak-ng coturn)

what=full
for argument in "$@"; do
    case $argument in
    --minimal) what=minimal ;;
    --list) what=list ;;
    *) echo "setup.sh: unknown argument $argument; usage: tools/setup.sh [--minimal] [--list]" >&2; exit 2 ;;
    esac
done
if [ $what = list ]; then
    printf '%s\n' "${minimal[@]}" "${full[@]}" nodejs npm
    exit 0
fi

elsewhere() {
    cat <<'TEXT'
setup.sh: this is not Debian or Ubuntu; install these yourself, then run the same make verb again:
  macOS    brew install cmake ninja mbedtls lz4 cjson opus speexdsp libsodium civetweb libjwt sqlite curl emscripten esbuild node ccache
  Fedora   dnf install gcc gcc-c++ cmake ninja-build mbedtls-devel civetweb-devel lz4-devel cjson-devel libjwt-devel \
               sqlite-devel libcurl-devel zlib-devel opus-devel speexdsp-devel libsodium-devel emscripten nodejs ccache; npm install -g esbuild
  Windows  the client: MSYS2, then pacman -S mingw-w64-ucrt-x86_64-{gcc,cmake,ninja,mbedtls,lz4,cjson,opus,speexdsp,libsodium}
           the server: WSL with Debian 12, then tools/setup.sh
Only a C compiler and CMake are a must: what is not found is left out, and CMake says so.
TEXT
}

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    elsewhere
    # Go on when the least is there.
    command -v cmake >/dev/null && command -v cc >/dev/null && exit 0
    exit 1
fi

wanted=("${minimal[@]}")
[ $what = full ] && wanted+=("${full[@]}")
# A newer Node.js from elsewhere may stand in for Debian's packages.
command -v node >/dev/null || wanted+=(nodejs)
[ $what = full ] && { command -v npm >/dev/null || wanted+=(npm); }

missing=()
for package in "${wanted[@]}"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done

if [ ${#missing[@]} -gt 0 ]; then
    root=()
    if [ "$(id -u)" != 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "setup.sh: missing: ${missing[*]}"
            echo "  fix: as root: apt-get install --no-install-recommends ${missing[*]}"
            exit 1
        fi
        root=(sudo)
    fi
    echo "setup.sh: installing ${missing[*]}"
    # RUNLEVEL: packages with a daemon (prometheus, wanted for promtool) are not started where there is no systemd
    install=("${root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -q --no-install-recommends
        -o DPkg::Lock::Timeout=300 "${missing[@]}")
    # One stale index is the usual reason of a failed install: refresh it, once.
    if ! "${install[@]}" >/tmp/necpnet-setup.$$.log 2>&1; then
        "${root[@]}" apt-get update -q >>/tmp/necpnet-setup.$$.log 2>&1
        if ! "${install[@]}" >>/tmp/necpnet-setup.$$.log 2>&1; then
            tail -20 /tmp/necpnet-setup.$$.log
            echo "setup.sh: apt-get failed; whole log /tmp/necpnet-setup.$$.log"
            exit 1
        fi
    fi
    rm -f /tmp/necpnet-setup.$$.log
fi

# npm packages exactly as their lock files say: of the tests, and (also for `make run`, where npm is there) of the dashboard.
where=.
[ $what = full ] || where=server/web
if command -v npm >/dev/null; then
    while read -r lock; do
        folder=$(dirname "$lock")
        if [ ! -d "$folder/node_modules" ] || [ "$lock" -nt "$folder/node_modules/.package-lock.json" ]; then
            echo "setup.sh: npm ci in $folder"
            (cd "$folder" && npm ci --no-audit --no-fund --loglevel=error) || {
                echo "setup.sh: npm ci failed in $folder; is the registry reachable (npm config get registry)?"
                [ $what = full ] && exit 1
                break # only the dashboard will be missing
            }
            touch "$folder/node_modules/.package-lock.json"
        fi
    done < <(find $where -name package-lock.json -not -path '*/node_modules/*' -not -path './build/*' | sort)
fi
echo "setup.sh: nothing missing"

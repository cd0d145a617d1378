#!/bin/bash
# mbedtls36_deps.sh - builds Mbed TLS 3.6 from Debian 13's source package into build/mbedtls36/{include,lib}, where the
# preset mbedtls36 looks for it: the adapters must fit 2.28 and 3.6 alike.
#
# Quick when it is there. Fetches through tools/fetch_source.sh.
set -u
cd "$(dirname "$0")/.." || exit 1
out=$PWD/build/mbedtls36
[ -f "$out/lib/libmbedtls.a" ] && exit 0
source=$(tools/fetch_source.sh mbedtls trixie) || exit 1
mkdir -p "$out"
echo "mbedtls36_deps.sh: building $(basename "$source")"
if ! { cmake -S "$source" -B "$out/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DENABLE_TESTING=OFF -DENABLE_PROGRAMS=OFF \
    -DGEN_FILES=OFF -DMBEDTLS_FATAL_WARNINGS=OFF -DCMAKE_INSTALL_PREFIX="$out" -DCMAKE_INSTALL_LIBDIR=lib \
    -DCMAKE_POSITION_INDEPENDENT_CODE=ON &&
    cmake --build "$out/build" -j "${JOBS:-2}" && cmake --install "$out/build"; } >"$out/log" 2>&1; then
    tail -20 "$out/log"
    echo "mbedtls36_deps.sh: failed; whole log $out/log"
    exit 1
fi

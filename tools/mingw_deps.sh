#!/bin/bash
# mingw_deps.sh - builds libraries for Windows from Debian's source packages into build/mingw-deps/{include,lib}, where
# the preset mingw looks for them.
#
#   tools/mingw_deps.sh           mbedtls and lz4
#
# Quick when they are there. Needs mingw-w64; fetches through tools/fetch_source.sh.
set -u
cd "$(dirname "$0")/.." || exit 1
out=$PWD/build/mingw-deps
mkdir -p "$out/include" "$out/lib"
cc=x86_64-w64-mingw32-gcc
command -v $cc >/dev/null || { echo "mingw_deps.sh: needs $cc; fix: apt-get install gcc-mingw-w64-x86-64"; exit 1; }

build_lz4() {
    $cc -O2 -c "$1/lib/lz4.c" -o "$out/lib/lz4.o" && x86_64-w64-mingw32-ar rcs "$out/lib/liblz4.a" "$out/lib/lz4.o" &&
        cp "$1/lib/lz4.h" "$out/include/"
}

build_mbedtls() {
    cmake -S "$1" -B build/mingw-deps/mbedtls -G Ninja -DCMAKE_TOOLCHAIN_FILE="$PWD/tools/cmake/mingw-w64.cmake" \
        -DCMAKE_BUILD_TYPE=Release -DENABLE_TESTING=OFF -DENABLE_PROGRAMS=OFF -DUSE_SHARED_MBEDTLS_LIBRARY=OFF \
        -DUSE_STATIC_MBEDTLS_LIBRARY=ON -DCMAKE_INSTALL_PREFIX="$out" &&
        cmake --build build/mingw-deps/mbedtls -j "${JOBS:-2}" && cmake --install build/mingw-deps/mbedtls
}

[ $# -gt 0 ] || set -- mbedtls lz4
for name in "$@"; do
    [ -f "$out/lib/lib$name.a" ] && continue
    source=$(tools/fetch_source.sh "$name") || exit 1
    echo "mingw_deps.sh: building $name from $(basename "$source")"
    if ! "build_$name" "$source" >"$out/$name.log" 2>&1; then
        tail -20 "$out/$name.log"
        echo "mingw_deps.sh: $name failed; whole log $out/$name.log"
        exit 1
    fi
done

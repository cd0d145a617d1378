#!/bin/bash
# wasm_deps.sh - builds libraries for WebAssembly from Debian's source packages into build/wasm-deps/{include,lib}, where
# the preset wasm looks for them.
#
#   tools/wasm_deps.sh            lz4
#   tools/wasm_deps.sh lz4 opus   these
#
# Quick when they are there. Needs emcc; fetches through tools/fetch_source.sh.
set -u
cd "$(dirname "$0")/.." || exit 1
export NODE_PATH=${NODE_PATH:-/usr/share/nodejs}
out=$PWD/build/wasm-deps
mkdir -p "$out/include" "$out/lib"
command -v emcc >/dev/null || { echo "wasm_deps.sh: needs emcc; fix: tools/setup.sh, or apt-get install emscripten"; exit 1; }

build_lz4() {
    emcc -O3 -c "$1/lib/lz4.c" -o "$out/lib/lz4.o" && emar rcs "$out/lib/liblz4.a" "$out/lib/lz4.o" &&
        cp "$1/lib/lz4.h" "$out/include/"
}

build_opus() {
    local work=$PWD/build/wasm-deps/opus
    mkdir -p "$work" && (cd "$work" &&
        emconfigure "$1/configure" --host=none --disable-shared --disable-asm --disable-intrinsics --disable-extra-programs \
            --disable-doc --prefix="$out" CFLAGS="-O3" && emmake make -j"${JOBS:-2}" && emmake make install) &&
        cp "$out/include/opus/"*.h "$out/include/"
}

for name in "${@:-lz4}"; do
    [ -f "$out/lib/lib$name.a" ] && continue
    source=$(tools/fetch_source.sh "$name") || exit 1
    echo "wasm_deps.sh: building $name from $(basename "$source")"
    if ! "build_$name" "$source" >"$out/$name.log" 2>&1; then
        tail -20 "$out/$name.log"
        echo "wasm_deps.sh: $name failed; whole log $out/$name.log"
        exit 1
    fi
done

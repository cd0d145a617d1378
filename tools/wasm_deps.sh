#!/bin/bash
# wasm_deps.sh - builds libraries for WebAssembly from Debian's source packages into build/wasm-deps/{include,lib}, where
# the preset wasm looks for them.
#
#   tools/wasm_deps.sh        lz4 and opus
#   tools/wasm_deps.sh lz4    these
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

# Without its configure, which asks for more than it tells: the codec in floating point, no custom modes, no surround; by one
# call of emcc, which costs more than the compiler.
build_opus() {
    local objects=$out/opus
    mkdir -p "$objects" "$out/include/opus"
    (cd "$objects" &&
        emcc -Os -DOPUS_BUILD -DVAR_ARRAYS -DHAVE_LRINT -DHAVE_LRINTF -I"$1/include" -I"$1/celt" -I"$1/silk" -I"$1/silk/float" \
            -c $(ls "$1"/celt/*.c "$1"/silk/*.c "$1"/silk/float/*.c | grep -v demo) \
            "$1"/src/{opus,opus_decoder,opus_encoder,repacketizer,analysis,mlp,mlp_data}.c) &&
        emar rcs "$out/lib/libopus.a" "$objects"/*.o && cp "$1/include/"*.h "$out/include/opus/"
}

[ $# -gt 0 ] || set -- lz4 opus
for name in "$@"; do
    [ -f "$out/lib/lib$name.a" ] && continue
    source=$(tools/fetch_source.sh "$name") || exit 1
    echo "wasm_deps.sh: building $name from $(basename "$source")"
    if ! "build_$name" "$source" >"$out/$name.log" 2>&1; then
        tail -20 "$out/$name.log"
        echo "wasm_deps.sh: $name failed; whole log $out/$name.log"
        exit 1
    fi
done

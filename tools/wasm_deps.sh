#!/bin/bash
# wasm_deps.sh - builds libraries for WebAssembly from Debian's source packages into build/wasm-deps/{include,lib}, where
# the preset wasm looks for them.
#
#   tools/wasm_deps.sh        lz4, opus and sodium
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

# Of libsodium what seals speech: ChaCha20-Poly1305 and SHA-256. Its sodium_init chooses among implementations for
# processors and opens the system's source of randomness; here is one of each, and nothing random is asked of it.
build_sodium() {
    local objects=$out/sodium lib=$1/src/libsodium
    mkdir -p "$objects" && cp -r "$lib/include/sodium" "$lib/include/sodium.h" "$out/include/" &&
        cp "$1/builds/msvc/version.h" "$out/include/sodium/" &&
        printf '%s\n' 'int sodium_init(void);' 'void sodium_misuse(void);' 'int sodium_init(void) { return 0; }' \
            'void sodium_misuse(void) { __builtin_trap(); }' >"$objects/init.c" &&
        (cd "$objects" &&
            emcc -Oz -DCONFIGURED=1 -DSODIUM_STATIC=1 -DNATIVE_LITTLE_ENDIAN=1 -I"$out/include" -I"$out/include/sodium" \
                -c init.c "$lib"/crypto_aead/chacha20poly1305/sodium/aead_chacha20poly1305.c \
                "$lib"/crypto_aead/aes256gcm/aesni/aead_aes256gcm_aesni.c "$lib"/crypto_stream/chacha20/{stream_chacha20,ref/chacha20_ref}.c \
                "$lib"/crypto_onetimeauth/poly1305/{onetimeauth_poly1305,donna/poly1305_donna}.c "$lib"/crypto_verify/sodium/verify.c \
                "$lib"/crypto_hash/sha256/cp/hash_sha256_cp.c "$lib"/crypto_auth/hmacsha256/auth_hmacsha256.c \
                "$lib"/crypto_scalarmult/curve25519/{scalarmult_curve25519,ref10/x25519_ref10}.c \
                "$lib"/crypto_core/ed25519/ref10/ed25519_ref10.c "$lib"/sodium/utils.c) &&
        emar rcs "$out/lib/libsodium.a" "$objects"/*.o
}

[ $# -gt 0 ] || set -- lz4 opus sodium
for name in "$@"; do
    [ -f "$out/lib/lib$name.a" ] && continue
    source=$(tools/fetch_source.sh "${name/#sodium/libsodium}") || exit 1
    echo "wasm_deps.sh: building $name from $(basename "$source")"
    if ! "build_$name" "$source" >"$out/$name.log" 2>&1; then
        tail -20 "$out/$name.log"
        echo "wasm_deps.sh: $name failed; whole log $out/$name.log"
        exit 1
    fi
done

#!/bin/bash
# crypto_vectors.sh - brings published test vectors of the cryptography that we use to build/vectors, for
# tests/e2e/crypto_vectors.test.py: Wycheproof's (from Debian's source package of NSS) and NIST's of AES-GCM (from the
# package python3-cryptography-vectors). Quick when they are there. Nothing of it is ever committed.
set -u
cd "$(dirname "$0")/.." || exit 1
out=$PWD/build/vectors
mkdir -p "$out"
if [ ! -f "$out/gcmDecrypt256.rsp" ]; then
    package=python3-cryptography-vectors
    if ! (cd "$out" && apt-get -q -o APT::Sandbox::User="$(id -un)" download $package && dpkg-deb -x $package*.deb deb) \
        >"$out/log" 2>&1; then
        tail -3 "$out/log" >&2
        echo "crypto_vectors.sh: no $package; fix: apt-get update" >&2
        exit 1
    fi
    find "$out/deb" -name 'gcm*256.rsp' -exec cp {} "$out" \;
    rm -rf "$out"/deb "$out"/*.deb
fi
if [ ! -f "$out/hkdf-sha256-vectors.h" ]; then
    source=$(tools/fetch_source.sh nss trixie) || exit 1
    common=$source/nss/gtests/common
    cp "$common"/wycheproof/source_vectors/{aes_gcm,chacha20_poly1305,hmac_sha256,x25519}_test.json \
        "$common"/testvectors/hkdf-sha256-vectors.h "$out" || exit 1
    rm -rf "$source" # 200 MB, of which that is all we want
fi

#!/usr/bin/env python3
"""The cryptography that the protocol calls, against Wycheproof's vectors and NIST's of AES-GCM: 0 may be wrong.

tools/crypto_vectors.sh brings the vectors. Every build that has tests/crypto_check is asked: NECPNET_BUILD (both libraries,
Mbed TLS of this Debian and libsodium), and build/mbedtls36 where it was built."""

import json
import os
import re
import subprocess
import sys

VECTORS = "build/vectors"


def field(text):
    return text or "-"


def groups(name):
    with open("%s/%s_test.json" % (VECTORS, name), encoding="utf-8") as file:
        for group in json.load(file)["testGroups"]:
            for test in group["tests"]:
                yield group, test


def wycheproof_aead(name, suite):
    for group, test in groups(name):
        if group["keySize"] == 256 and group["ivSize"] == 96 and group["tagSize"] == 128:
            # "acceptable" is what a library may refuse by its own choice; of our sizes there is none
            assert test["result"] != "acceptable", test
            yield ["aead", str(suite)] + [field(test[key]) for key in ("key", "iv", "aad", "msg", "ct", "tag")] + \
                [str(int(test["result"] == "valid"))]


def wycheproof_hmac():
    for _, test in groups("hmac_sha256"):
        yield ["hmac", field(test["key"]), field(test["msg"]), field(test["tag"]), str(int(test["result"] == "valid"))]


def wycheproof_x25519():
    for _, test in groups("x25519"):
        # What Wycheproof calls acceptable are points off the curve and of small order. RFC 7748 computes them all; a
        # result of zero is no secret, and we refuse it.
        shared = test["shared"]
        yield ["x25519", test["private"], test["public"], shared, str(int(set(shared) != {"0"}))]


def wycheproof_hkdf():
    """NSS keeps these as a C table: {number, secret, salt, info, out, size, right}."""
    with open(VECTORS + "/hkdf-sha256-vectors.h", encoding="utf-8") as file:
        text = file.read()
    text = re.sub(r'"\s+"', "\0", text[text.index("[] = {"):]).replace('""', '"-"')
    # adjacent pieces of one string were joined by \0; two empty strings in turn cannot arise behind a comma
    for row in re.findall(r'\{(\d+),\s*((?:"[^"]*",\s*){4})(\d+),\s*(true|false)\}', text):
        strings = [part.replace("\0", "") for part in re.findall(r'"([^"]*)"', row[1])]
        if int(row[2]) * 2 == len(strings[3].replace("-", "")):  # a size that HKDF cannot give has no output to compare
            yield ["hkdf"] + [field(part) for part in strings] + [str(int(row[3] == "true"))]


def nist_gcm(name):
    sizes, test = {}, {}

    def done():
        if not test or sizes.get("IVlen") != "96" or sizes.get("Taglen") != "128":
            return []
        return [["aead", "2"] + [field(test.get(key, "")) for key in ("Key", "IV", "AAD", "PT", "CT", "Tag")] +
                [str(int("FAIL" not in test))]]

    with open("%s/%s.rsp" % (VECTORS, name), encoding="ascii") as file:
        for line in file:
            line = line.strip()
            if line.startswith("["):
                yield from done()
                test = {}
                name, _, value = line.strip("[]").partition(" = ")
                sizes[name] = value
            elif line.startswith("Count"):
                yield from done()
                test = {"Count": line}
            elif "=" in line and test:
                name, _, value = line.partition("=")
                test[name.strip()] = value.strip()
            elif line == "FAIL":
                test["FAIL"] = True
    yield from done()


def main():
    if subprocess.run(["tools/crypto_vectors.sh"], check=False).returncode:
        print("0 passed, 1 failed")
        return 1
    sets = [("Wycheproof AES-GCM", list(wycheproof_aead("aes_gcm", 2)), 48),
            ("Wycheproof ChaCha20-Poly1305", list(wycheproof_aead("chacha20_poly1305", 1)), 250),
            ("Wycheproof HMAC-SHA256", list(wycheproof_hmac()), 170),
            ("Wycheproof HKDF-SHA256", list(wycheproof_hkdf()), 80),
            ("Wycheproof X25519", list(wycheproof_x25519()), 500),
            ("NIST GCM decrypt", list(nist_gcm("gcmDecrypt256")), 350),
            ("NIST GCM encrypt", list(nist_gcm("gcmEncryptExtIV256")), 350)]
    passed = failed = 0
    programs = [os.path.join(os.environ.get("NECPNET_BUILD", "build/release"), "tests/crypto_check"),
                "build/mbedtls36/tests/crypto_check"]
    for program in programs:
        if not os.path.exists(program):
            failed += program == programs[0]
            print("%s is not built" % program)
            continue
        for title, rows, least in sets:
            lines = "".join(" ".join(row) + "\n" for row in rows)
            done = subprocess.run([program], input=lines, stdout=subprocess.PIPE, text=True, check=False)
            counts = re.search(r"^(\d+) passed, (\d+) failed$", done.stdout, flags=re.M)
            good, bad = (int(counts[1]), int(counts[2])) if counts else (0, 1)
            if len(rows) < least or good + bad < len(rows):  # a reader that lost vectors proves nothing
                bad += 1
            print("%-44s %-30s %4d vectors, %5d right, %d wrong" % (program, title, len(rows), good, bad))
            if bad:
                print(done.stdout[:2000])
            passed, failed = passed + good, failed + bad
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


sys.exit(main())

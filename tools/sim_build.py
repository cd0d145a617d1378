"""sim_build - the simulated world (tests/sim.h) as one file over necpnet.c, for those who build it in another way than CMake:
tests/e2e/sim_hash.test.py with other compilers, tools/plant_bugs.py with bugs in it. No library but C's is needed."""

import glob
import os
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SWITCHES = ["-DNECPNET_WITH_%s=0" % name for name in ("PLATFORM", "MBEDTLS", "LZ4", "ZLIB", "OPUS", "SPEEXDSP", "CJSON", "SODIUM")]
FLAGS = ["-std=c11", "-D_GNU_SOURCE=1", "-ffp-contract=off", "-I", ROOT, "-I", os.path.join(ROOT, "tests"), "-I",
         os.path.join(ROOT, "src")] + SWITCHES
HEAD = """#include "necpnet.h"
typedef struct nn_aead nn_aead;
void __wrap_nn_aead_seal(nn_aead*, uint64_t, const uint8_t*, size_t, uint8_t*, size_t, uint8_t*);
bool __wrap_nn_aead_seal_once(uint32_t, const uint8_t*, const uint8_t*, uint64_t, const uint8_t*, size_t, uint8_t*, size_t, uint8_t*);
#define nn_aead_seal __wrap_nn_aead_seal
#define nn_aead_seal_once __wrap_nn_aead_seal_once
"""


def sources():
    """What a program depends on, in the order of the file; headers last."""
    names = ["necpnet.c"] + sorted(glob.glob("tests/kit_sim*.c", root_dir=ROOT)) + ["tests/sim_world.c"]
    return [os.path.join(ROOT, name) for name in names + ["necpnet.h", "tests/sim.h", "tests/test.h"]]


def write(folder, edits=()):
    """all.c in a folder, with texts of necpnet.c replaced. Every sealing goes through tests/kit_sim_nonce.c."""
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(ROOT, "necpnet.c"), encoding="utf-8") as file:
        core = file.read()
    for before, after in list(edits) + [("void nn_aead_seal(", "void __real_nn_aead_seal("),
                                        ("bool nn_aead_seal_once(", "bool __real_nn_aead_seal_once(")]:
        core = core.replace(before, after)
    with open(os.path.join(folder, "core.c"), "w", encoding="utf-8") as file:
        file.write(core)
    path = os.path.join(folder, "all.c")
    with open(path, "w", encoding="utf-8") as file:
        file.write(HEAD + '#include "core.c"\n')
        file.writelines('#include "%s"\n' % name for name in sources()[1:] if name.endswith(".c"))
    return path


def compile_to(program, source, compiler, link):
    """What the compiler said, if it failed."""
    command = compiler + FLAGS + [source, "-o", program] + link
    made = subprocess.run(command, capture_output=True, text=True)
    return "%s\n%s" % (" ".join(command), made.stderr[-3000:]) if made.returncode else None

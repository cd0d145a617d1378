#!/usr/bin/env python3
"""check_install - installs build/release to a scratch folder, and builds a program on it as a stranger would.

usage: tools/check_install.py

Three ways in: find_package(necpnet), pkg-config, and the two files alone with nothing but a C compiler.
"""

import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAM = """
#include <necpnet.h>
#include <stdio.h>
int main(void)
{
    printf("%s\\n", necpnet_version());
    return necpnet_result_text(NECPNET_OK) == NULL;
}
"""
PROJECT = """
cmake_minimum_required(VERSION 3.20)
project(stranger C)
find_package(necpnet REQUIRED)
add_executable(stranger stranger.c)
target_link_libraries(stranger PRIVATE necpnet::necpnet)
"""
failed = 0


def attempt(title, *commands, **more):
    global failed
    for command in commands:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
        if done.returncode:
            failed += 1
            print("check_install.py: %s: FAILED\n$ %s\n%s" % (title, " ".join(command), done.stdout))
            return
    print("check_install.py: %s: %s" % (title, done.stdout.strip().split("\n")[-1].strip()))


def main():
    with tempfile.TemporaryDirectory() as scratch:
        prefix = os.path.join(scratch, "prefix")
        with open(os.path.join(scratch, "stranger.c"), "w", encoding="utf-8") as file:
            file.write(PROGRAM)
        with open(os.path.join(scratch, "CMakeLists.txt"), "w", encoding="utf-8") as file:
            file.write(PROJECT)
        attempt("install", ["cmake", "--install", os.path.join(ROOT, "build/release"), "--prefix", prefix])
        attempt("find_package", ["cmake", "-S", scratch, "-B", scratch + "/build", "-DCMAKE_PREFIX_PATH=" + prefix],
                ["cmake", "--build", scratch + "/build"], [scratch + "/build/stranger"])
        if shutil.which("pkg-config"):
            package = subprocess.run(["pkg-config", "--cflags", "--libs", "necpnet"],
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                     env=dict(os.environ, PKG_CONFIG_PATH=find(prefix, "necpnet.pc")))
            attempt("pkg-config", ["cc", "stranger.c", "-o", "by_pkg_config"] + package.stdout.split(),
                    ["./by_pkg_config"], cwd=scratch)
        for name in ("necpnet.h", "necpnet.c"):
            shutil.copy(os.path.join(ROOT, name), scratch)
        attempt("two files", ["cc", "-std=c11", "-I.", "stranger.c", "necpnet.c", "-o", "by_two_files", "-lpthread", "-lm"],
                ["./by_two_files"], cwd=scratch)
    sys.exit(1 if failed else 0)


def find(folder, name):
    for at, _, files in os.walk(folder):
        if name in files:
            return at
    return folder


main()

#!/bin/bash
# test_windows.sh - builds the tests for Windows with mingw-w64 and runs them under wine; says which could not run.
#
#   tools/test_windows.sh             unit and api tests
#   tools/test_windows.sh socket loop those whose name contains one of the words
#   JOBS=4 tools/test_windows.sh      with so many compilers at once (default 2)
#
# Fails when a test fails. A test that does not build for Windows, or of which some cases are skipped there, is named at
# the end. Without mbedTLS for mingw (tools/mingw_deps.sh builds it) what needs encryption is skipped.
set -u
cd "$(dirname "$0")/.." || exit 1
jobs=${JOBS:-2}
build=build/mingw
compiler=x86_64-w64-mingw32-gcc
wine=$(command -v wine64 || command -v wine) || { echo "test_windows.sh: needs wine; fix: apt-get install wine wine64"; exit 1; }
command -v $compiler >/dev/null || { echo "test_windows.sh: needs $compiler; fix: apt-get install gcc-mingw-w64-x86-64"; exit 1; }
export WINEDEBUG=${WINEDEBUG:--all} WINEPREFIX=${WINEPREFIX:-$PWD/$build/wine}
mkdir -p $build

"$wine" wineboot --init >/dev/null 2>&1 # once, before tests are timed
cmake --preset mingw >$build/configure.log 2>&1 || { cat $build/configure.log; exit 1; }
cmake --build $build -j "$jobs" -- -k 0 >$build/build.log 2>&1

passed=0
failed=() unbuilt=() partly=()
wanted() { [ $# -eq 1 ] || { local name=$1 word; shift; for word; do [[ $name == *$word* ]] && return 0; done; return 1; }; }
for source in tests/test_*.c tests/api_*.c; do
    name=$(basename "$source" .c)
    wanted "$name" "$@" || continue
    program=$build/tests/$name.exe
    if [ ! -f "$program" ] || [ "$source" -nt "$program" ]; then
        unbuilt+=("$name")
        continue
    fi
    if timeout 180 "$wine" "$program" >$build/$name.log 2>&1; then
        passed=$((passed + 1))
        grep -q ' skipped: ' $build/$name.log && partly+=("$name")
    else
        failed+=("$name")
        grep -v '^ok ' $build/$name.log | tail -20
    fi
done

for name in "${partly[@]}"; do grep ' skipped: ' $build/$name.log | tr -d '\r'; done
[ ${#unbuilt[@]} -gt 0 ] && echo "test_windows.sh: did not build: ${unbuilt[*]} ($build/build.log)"
[ ${#failed[@]} -gt 0 ] && echo "test_windows.sh: failed: ${failed[*]} ($build/<name>.log)"
echo "test_windows.sh: $passed passed, ${#failed[@]} failed, ${#unbuilt[@]} did not build"
[ ${#failed[@]} -eq 0 ]

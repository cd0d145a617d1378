#!/bin/bash
# quick.sh - the checks of everyday: what must hold before a change joins the main branch, in well under a minute when
# little changed. Runs every step, prints what failed at the end. `make check` runs it; `make test` runs much more.
#
#   tools/quick.sh         all steps
#   JOBS=4 tools/quick.sh  with so many compilers at once (default 2)
set -u
cd "$(dirname "$0")/.." || exit 1
jobs=${JOBS:-2}
logs=build/quick
mkdir -p $logs
export NODE_PATH=${NODE_PATH:-/usr/share/nodejs}
failed=()

step() { # step NAME COMMAND...: runs it, keeps its output for the summary
    local name=$1 began=$SECONDS
    shift
    if "$@" >"$logs/$name.log" 2>&1; then
        printf 'quick: %-10s ok      %3d s\n' "$name" $((SECONDS - began))
    else
        printf 'quick: %-10s FAILED  %3d s\n' "$name" $((SECONDS - began))
        failed+=("$name")
    fi
}

unit_tests() { ctest --test-dir build/dev -L 'unit|api' -j"$jobs" --output-on-failure --no-tests=ignore; }

step fresh python3 tools/amalgamate.py --check
step layers python3 tools/check_layers.py
step style python3 tools/check_style.py
step configure cmake --preset dev
step build cmake --build build/dev -j "$jobs"
[ -f necpnet.h ] && step compile python3 tools/check_compile.py --quick --jobs "$jobs"
[ -f build/dev/lib/libnecpnet.a ] && step exports python3 tools/check_exports.py build/dev/lib/libnecpnet.a
[[ " ${failed[*]} " == *" build "* || " ${failed[*]} " == *" configure "* ]] || step tests unit_tests
# The layout of what this branch changed: said, but no reason to stop.
mapfile -t changed < <( (git diff --name-only main...HEAD; git diff --name-only) 2>/dev/null | sort -u | xargs -r ls -d 2>/dev/null)
if [ ${#changed[@]} -gt 0 ] && ! python3 tools/format.py --check "${changed[@]}" >$logs/format.log 2>&1; then
    echo "quick: layout     differs (does not stop you here; make test insists); fix: tools/format.py" \
        "$(sed -n 's/: layout differs$//p' $logs/format.log | tr '\n' ' ')"
fi

if [ ${#failed[@]} -gt 0 ]; then
    for name in "${failed[@]}"; do
        echo "==== $name ($logs/$name.log)"
        grep -v '^\[[0-9]*/[0-9]*\] Building\|^-- ' "$logs/$name.log" | tail -40
    done
    echo "quick: failed: ${failed[*]}"
    exit 1
fi
echo "quick: all right"

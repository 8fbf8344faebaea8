#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh: runs the libFuzzer targets.
set -eu -o pipefail

usage()
{
    cat <<'END'
usage: run.sh [--build FOLDER] [TARGET | all] [SECONDS]
       run.sh --list

Fuzzes one target, or all of them side by side, for SECONDS (60) each, beginning with the corpus in the tree.
What makes a target fail is kept in FOLDER/tests/fuzz/found/. Without --build, build/fuzz is built with clang.
END
}

here=$(cd "$(dirname "$0")" && pwd)
targets=$(find "$here" -name 'fuzz_*.c' -printf '%f\n' | sed 's/^fuzz_//; s/\.c$//' | sort)
build=
case ${1-} in
    --help | -h) usage && exit 0 ;;
    --list) echo "$targets" && exit 0 ;;
    --build) build=$2 && shift 2 ;;
esac
if [ -n "${1-}" ] && [ -z "${1//[0-9]/}" ]; then
    set -- all "$1"
fi
target=${1:-all} seconds=${2:-60}
if [ "$target" != all ] && ! grep -qx -- "$target" <<<"$targets"; then
    echo "run.sh: there is no target '$target'; the targets are:" "${targets//$'\n'/, }" >&2
    exit 2
fi
if [ -z "$build" ]; then
    "$here/../lib/build.sh" fuzz
    build=$here/../../build/fuzz
fi
out=$(cd "$build" && pwd)/tests/fuzz

# fuzz TARGET: new finds of inputs go to a corpus of the build folder.
fuzz()
{
    local options=()
    if [ ! -x "$out/fuzz_$1" ]; then
        echo "run.sh: $out/fuzz_$1 is not built; configure with --enable-fuzzers CC=clang" >&2
        return 2
    fi
    mkdir -p "$out/corpus/$1" "$out/found"
    [ ! -f "$here/$1.dict" ] || options=("-dict=$here/$1.dict")
    # libFuzzer's fork and job modes are not needed: each target is a process of its own.
    "$out/fuzz_$1" -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="$out/found/$1-" ${options[@]+"${options[@]}"} "$out/corpus/$1" "$here/corpus/$1"
}

if [ "$target" != all ]; then
    fuzz "$target"
    exit
fi

status=0
pids=()
mkdir -p "$out"
for target in $targets; do
    fuzz "$target" >"$out/$target.log" 2>&1 &
    pids+=("$! $target")
done
for line in "${pids[@]}"; do
    read -r pid target <<<"$line"
    if wait "$pid"; then
        printf 'ok      %-10s %s\n' "$target" "$(grep -E '^Done' "$out/$target.log" | tail -n 1)"
    else
        printf 'FAILED  %-10s the end of %s:\n' "$target" "$out/$target.log"
        tail -n 30 "$out/$target.log"
        status=1
    fi
done
exit "$status"

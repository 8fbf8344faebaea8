#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# check.sh: everything that must hold, step by step, and a verdict. The last line counts tests and steps:
# "N passed, N failed, N skipped".
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1
export LC_ALL=C

steps="packages build test sanitize flavour matrix install distcheck lint fuzz"
usage()
{
    cat <<'END'
usage: ./dev check [--list] [STEP...]

Runs the steps that are named, or all of them but the last, in this order:
  packages   installs what packages.txt names and this system lacks
  build      builds in build/plain, warnings are errors
  test       make check, a line per test; the log of each failed test is shown
  sanitize   the same in build/asan, with AddressSanitizer and UndefinedBehaviorSanitizer
  flavour    the client's tests with ekmotp on libcurl's OpenSSL flavour, in build/openssl
  matrix     ./dev matrix: every TLS stack against every other, with the cells' negative twins
  install    make install into a scratch folder: files, symbols, a program that uses the libraries
  distcheck  make distcheck: the tarball builds, installs and uninstalls cleanly (its tests ran above)
  lint       ./dev lint
  fuzz       each libFuzzer target for 60 s (EKMOTP_FUZZ_SECONDS)
  release    ./dev matrix --release trixie: build, tests and matrix in a fresh Debian 13; root only
Ends with a verdict and exits 0 only if nothing failed.
END
}

case ${1-} in
    --help | -h) usage && exit 0 ;;
    --list) echo "$steps" && exit 0 ;;
esac
chosen=${*:-$steps}
for step in $chosen; do
    case " $steps release " in
        *" $step "*) ;;
        *)
            echo "check.sh: there is no step '$step'; the steps are: $steps release" >&2
            exit 2
            ;;
    esac
done

jobs=$(nproc 2>/dev/null || echo 2)
logs=$PWD/build/logs
mkdir -p "$logs"
passed=0 failed=0 skipped=0
failures=()

good()
{
    passed=$((passed + 1))
}

bad()
{
    failed=$((failed + 1))
    failures+=("$1")
}

# end_of FILE: the part of a log that is worth showing.
end_of()
{
    sed 's/^/    | /' "$1" | tail -n "${2:-60}"
}

# once NAME COMMAND...: a step that is one command; its output is shown only if it fails.
once()
{
    local name=$1 log=$logs/$1.log start=$SECONDS
    shift
    if "$@" >"$log" 2>&1; then
        printf '   ok (%d s)\n' "$((SECONDS - start))"
        good
    else
        printf '   FAILED (%d s); the end of %s:\n' "$((SECONDS - start))" "$log"
        end_of "$log"
        bad "$name"
    fi
}

# run_tests NAME FOLDER [OPTION...]: make check with a line per test, then the counts and the logs of what failed.
run_tests()
{
    local name=$1 dir=$2 log=$logs/$1.log start=$SECONDS count what n
    shift 2
    [ -f "$dir/Makefile" ] || {
        bad "$name: not built"
        return
    }
    # The programs first, so that a compiler error does not drown among the tests.
    if ! make -C "$dir" -j"$jobs" check TESTS= >"$log" 2>&1; then
        echo "   FAILED: the tests do not build; the end of $log:"
        end_of "$log"
        bad "$name: build"
        return
    fi
    # A test waits for processes more than it computes: a few more jobs than cores.
    make -C "$dir" -k -j"$((jobs + 2))" check AM_COLOR_TESTS=no "$@" >"$log" 2>&1 &
    local make_pid=$!
    tail -n +1 -f --pid="$make_pid" "$log" 2>/dev/null |
        awk '/^(PASS|FAIL|SKIP|ERROR|XFAIL|XPASS): / { n++; printf "   %3d %s\n", n, $0; fflush() }'
    wait "$make_pid"
    local rc=$?
    count=0
    for what in PASS XFAIL; do
        n=$(grep -c "^$what: " "$log")
        passed=$((passed + n)) count=$((count + n))
    done
    n=$(grep -c '^SKIP: ' "$log")
    skipped=$((skipped + n)) count=$((count + n))
    while read -r what test; do
        bad "$name: $test (${what%:})"
        count=$((count + 1))
        echo "   ---- ${what%:} $test"
        # What it says of itself first: the ends of its other logs can be long.
        grep -E 'FAILED|cannot run: |Error|ERROR: ' "$dir/$test.log" | head -n 5 | cut -c1-500 | sed 's/^/    ! /'
        end_of "$dir/$test.log"
    done < <(grep -E '^(FAIL|ERROR|XPASS): ' "$log")
    while read -r what test; do
        echo "   ---- skipped $test: $(sed -n 's/.*skipped: //p' "$dir/$test.log" | head -n 1)"
    done < <(grep -E '^SKIP: ' "$log")
    if [ "$rc" -ne 0 ] && ! grep -Eq '^(FAIL|ERROR|XPASS): ' "$log"; then
        echo "   FAILED: make check ended with status $rc; the end of $log:"
        end_of "$log"
        bad "$name: make check"
    fi
    printf '   %d tests in %d s\n' "$count" "$((SECONDS - start))"
}

step_packages()
{
    tests/lib/packages.sh build demo check extra
}

step_build()
{
    if tests/lib/build.sh plain; then
        good
    else
        bad build
    fi
}

step_test()
{
    run_tests test build/plain
}

step_sanitize()
{
    if tests/lib/build.sh asan; then
        if pkg-config --atleast-version=14 jose; then
            echo "   libjose $(pkg-config --modversion jose) leaks: leaks out of jansson are not counted"
            export LSAN_OPTIONS="suppressions=$PWD/tests/lib/libjose14.supp:print_suppressions=0"
        fi
        run_tests sanitize build/asan
    else
        bad "sanitize: build"
    fi
}

# Some systems have the other flavour of libcurl only.
step_flavour()
{
    if tests/lib/build.sh openssl; then
        run_tests flavour build/openssl TESTS="$(printf '%s ' tests/client/*.sh | sed 's#tests/client/common.sh ##')"
    else
        echo "   skipped: no libcurl of the OpenSSL flavour to build on"
        skipped=$((skipped + 1))
    fi
}

step_matrix()
{
    local log=$logs/matrix.log start=$SECONDS rc=0
    mkdir -p build/out
    cp docs/interop.md build/out/interop.md
    tests/interop/matrix.sh --build build/plain --html build/out/interop.html --markdown build/out/interop.md \
        >"$log" 2>&1 || rc=$?
    grep -E '^matrix: ' "$log" | sed 's/^/   /'
    case $rc in
        0)
            # Why cells are grey, and how many.
            sed -nE 's/^ *[0-9]+\/[0-9]+ grey +[^ ]+ [0-9.]+ s (.*)/\1/p' "$log" | sort | uniq -c
            printf '   ok (%d s)\n' "$((SECONDS - start))"
            good
            ;;
        77) skipped=$((skipped + 1)) ;;
        *)
            end_of "$log" 100
            bad matrix
            ;;
    esac
}

step_release()
{
    local log=$logs/release.log start=$SECONDS rc=0
    tests/interop/release.sh trixie ./dev check packages build test flavour matrix >"$log" 2>&1 || rc=$?
    if [ "$rc" -eq 99 ]; then
        echo "   skipped: $(grep '^release.sh: ' "$log" | tail -n 1)"
        skipped=$((skipped + 1))
    elif [ "$rc" -eq 0 ]; then
        grep -E '^(matrix|VERDICT): |^[0-9]+ passed' "$log" | sed 's/^/   /'
        printf '   ok (%d s)\n' "$((SECONDS - start))"
        good
    else
        end_of "$log" 100
        bad release
    fi
}

step_install()
{
    once install tests/install.sh build/plain
}

step_distcheck()
{
    once distcheck tests/distcheck.sh build/plain
}

step_lint()
{
    once lint tests/lint.sh --build build/plain
}

step_fuzz()
{
    local word target rest log=$logs/fuzz.log seconds=${EKMOTP_FUZZ_SECONDS:-60} start=$SECONDS
    # All targets side by side: one core or two are busy either way.
    if ! tests/fuzz/run.sh all "$seconds" >"$log" 2>&1 && ! grep -q '^FAILED ' "$log"; then
        echo "   FAILED; the end of $log:"
        end_of "$log"
        bad "fuzz"
    fi
    while read -r word target rest; do
        case $word in
            ok)
                echo "   ok $target: $rest"
                good
                ;;
            FAILED)
                echo "   FAILED $target; see $log"
                bad "fuzz: $target"
                ;;
        esac
    done <"$log"
    printf '   %d s\n' "$((SECONDS - start))"
}

number=0
total=$(wc -w <<<"$chosen")
for step in $chosen; do
    number=$((number + 1))
    printf '\n== [%d/%d] %s (at %d:%02d)\n' "$number" "$total" "$step" "$((SECONDS / 60))" "$((SECONDS % 60))"
    "step_$step"
    if [ "$step" = build ] && [ "$failed" -gt 0 ]; then
        echo "== without a build there is nothing to test"
        break
    fi
done

printf '\n'
if [ "$failed" -gt 0 ]; then
    printf 'failed: %s\n' "${failures[@]}"
    echo "VERDICT: FAILED, after $((SECONDS / 60)) min $((SECONDS % 60)) s; logs in build/logs"
else
    echo "VERDICT: all is well, after $((SECONDS / 60)) min $((SECONDS % 60)) s"
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]

# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# test.sh: what every shell test begins with:
#
#     #!/bin/bash
#     . "${srcdir:-.}/tests/lib/test.sh"
#
# make check runs tests in the build folder and sets srcdir. After the line above a test has
#   $top_src, $top_build   absolute paths of the source and build folders
#   $tmp                   a folder of its own (mode 0700), removed at the end, also after a failure
#   $EKMOTP, $EKMOTPD, $EKMOTP_AGENT   the programs of the build folder
# and the shell stops at the first command that fails. A bare "! command" can not fail under "set -e":
# use fails or exits instead.

set -eu -o pipefail
export LC_ALL=C

top_build=$PWD
# shellcheck disable=SC2034 # for the test
top_src=$(cd "${srcdir:-.}" && pwd)
test_name=$(basename "$0")

# The tests choose all of this themselves; what the caller's shell has set must not leak in.
unset EKMOTP_AGENT_SOCK CREDENTIALS_DIRECTORY NOTIFY_SOCKET LISTEN_FDS LISTEN_PID SSLKEYLOGFILE \
    http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy

EKMOTP=$top_build/client/ekmotp
EKMOTPD=$top_build/server/ekmotpd
EKMOTP_AGENT=$top_build/p11/agent/ekmotp-agent
export EKMOTP EKMOTPD EKMOTP_AGENT

# Unix socket paths hold 107 bytes: stay short whatever TMPDIR is.
tmp=$(mktemp -d /tmp/ekmotp-test.XXXXXX)
test_pids=()
test_at_exit=()

# say WORDS: a line in the test's log.
say()
{
    printf '%s: %s\n' "$test_name" "$*" >&2
}

# die WORDS: the test has failed.
die()
{
    say "FAILED: $*"
    exit 1
}

# skip WORDS: this cannot be tested here (a package is missing).
skip()
{
    say "skipped: $*"
    exit 77
}

# cannot WORDS: the test itself cannot run; something is wrong with its surroundings.
cannot()
{
    say "cannot run: $*"
    exit 99
}

# need PROGRAM...: skips the test where one of the programs is missing.
need()
{
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null || skip "$program is not installed"
    done
}

# fails COMMAND...: the command must end with a non-zero status (not by a signal).
fails()
{
    local rc=0
    "$@" || rc=$?
    [ "$rc" -ne 0 ] || die "this should have failed: $*"
    [ "$rc" -lt 126 ] || die "this ended with status $rc (not found, or a signal): $*"
}

# exits STATUS COMMAND...: the command must end with exactly this status.
exits()
{
    local want=$1 rc=0
    shift
    "$@" || rc=$?
    [ "$rc" -eq "$want" ] || die "status $rc where $want was expected: $*"
}

# same WHAT GOT WANTED: two strings must be equal.
same()
{
    [ "$2" = "$3" ] || die "$1: got '$2', expected '$3'"
}

# has FILE REGEX: a line of the file must match the extended regular expression.
has()
{
    grep -Eq -- "$2" "$1" || die "no line of $1 matches '$2'. It holds: $(head -c 2000 "$1")"
}

# lacks FILE REGEX: no line of the file may match.
lacks()
{
    if grep -Eq -- "$2" "$1"; then
        die "a line of $1 matches '$2': $(grep -E -m1 -- "$2" "$1" | head -c 500)"
    fi
}

# wait_for SECONDS COMMAND...: runs the command until it succeeds; past the deadline the test has failed.
wait_for()
{
    local deadline=$(($(date +%s) + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$(date +%s)" -lt "$deadline" ] || die "not in time: $*"
        sleep 0.05
    done
}

# background LOG COMMAND...: starts a process that is ended with the test; its id is in $background_pid.
background()
{
    local log=$1
    shift
    "$@" >"$log" 2>&1 </dev/null &
    background_pid=$!
    test_pids+=("$background_pid")
}

# gone PID: true once the process has ended (a zombie counts as ended).
gone()
{
    local state
    state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null) || return 0
    [ -z "$state" ] || [ "$state" = Z ]
}

# stop PID: asks the process to end, insists after 10 s, and collects its status (which is returned).
stop()
{
    local pid=$1 tries=0 rc=0 i
    kill -TERM "$pid" 2>/dev/null || :
    until gone "$pid"; do
        tries=$((tries + 1))
        if [ "$tries" -gt 200 ]; then
            say "process $pid does not end: killing it"
            kill -KILL "$pid" 2>/dev/null || :
        fi
        sleep 0.05
    done
    wait "$pid" 2>/dev/null || rc=$?
    for i in "${!test_pids[@]}"; do
        [ "${test_pids[$i]}" != "$pid" ] || unset "test_pids[$i]"
    done
    return "$rc"
}

# at_exit COMMAND...: runs the command when the test ends; the last one named runs first.
at_exit()
{
    test_at_exit=("$(printf '%q ' "$@")" ${test_at_exit[@]+"${test_at_exit[@]}"})
}

test_cleanup()
{
    local rc=$? pid command
    trap - EXIT INT TERM HUP
    set +e
    # The newest first: a client before the server that it talks to.
    for ((i = ${#test_pids[@]} - 1; i >= 0; i--)); do
        pid=${test_pids[$i]-}
        [ -z "$pid" ] || stop "$pid"
    done
    for command in ${test_at_exit[@]+"${test_at_exit[@]}"}; do
        eval "$command"
    done
    if [ "$rc" -ne 0 ] && [ "$rc" -ne 77 ]; then
        for log in "$tmp"/*.log; do
            [ ! -s "$log" ] || { say "---- end of $(basename "$log")"; tail -n 40 "$log" >&2; }
        done
    fi
    rm -rf "$tmp"
    exit "$rc"
}
trap test_cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

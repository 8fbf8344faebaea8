#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# faults.sh: a private agent over a token that hangs, crashes, goes away, changes and refuses. Every MAC that
# is returned is right, every failure is reported in time, and the next call works again by itself.
#
# shellcheck source=tests/lib/test.sh
. "${srcdir:-.}/tests/lib/test.sh"
# shellcheck source=tests/agent/lib.sh
. "$top_src/tests/agent/lib.sh"
need openssl

agent=spawn:$fake_agent
fake_token 1234
want=$(mac_of "$EKMOTP_FAKE/key" 00)

# The right PIN is sent once for as many keys and MACs as one likes.
same mac "$(PIN=1234 "$driver" "$agent" mac "$uri" 00 2>/dev/null)" "$want"
same sha384 "$(PIN=1234 "$driver" "$agent" mac "$uri" 0011 sha384 2>/dev/null)" \
    "$(mac_of "$EKMOTP_FAKE/key" 0011 sha384)"
same logins "$(logins)" 2
printf '1234\r\n' >"$tmp/pin"
chmod 600 "$tmp/pin"
same "PIN from a file" "$(PIN_FILE=$tmp/pin "$driver" "$agent" mac "$uri" 00)" "$want"
same "PIN from the URI" "$("$driver" "$agent" mac "$uri?pin-source=$tmp/pin" 00)" "$want"
same "PIN from a file: URI" "$("$driver" "$agent" mac "$uri?pin-source=file:$tmp/pin" 00)" "$want"

# fail_with CODE PATTERN COMMAND...: the driver reports this failure.
fail_with()
{
    local code=$1 pattern=$2
    shift 2
    exits 1 "$@" >"$tmp/out" 2>/dev/null
    has "$tmp/out" "^error $code .*$pattern"
}

# A wrong PIN costs one try, a missing one none, and what cannot be a PIN's place is refused before.
: >"$EKMOTP_FAKE/logins"
PIN=4321 fail_with -47 'wrong PIN' "$driver" "$agent" mac "$uri" 00
same logins "$(logins)" 1
fail_with -46 'wants a PIN' "$driver" "$agent" mac "$uri" 00
fail_with -40 'pin-value' "$driver" "$agent" mac "$uri?pin-value=1234" 00
chmod 644 "$tmp/pin"
fail_with -6 'chmod 600' "$driver" "$agent" mac "$uri?pin-source=$tmp/pin" 00
fail_with -40 'is no file' "$driver" "$agent" mac "$uri?pin-source=%7cecho%201234" 00
fail_with -40 '' "$driver" "$agent" mac "token=fake" 00
same logins "$(logins)" 1
: >"$EKMOTP_FAKE/locked"
PIN=1234 fail_with -48 'locked' "$driver" "$agent" mac "$uri" 00
rm "$EKMOTP_FAKE/locked"
PIN=1234 fail_with -44 'no such key' "$driver" "$agent" mac "pkcs11:object=none" 00
PIN=1234 fail_with -1 '' "$driver" "$agent" mac "$uri" ''
fail_with -53 'cannot be started' "$driver" spawn:/nonexistent status
fail_with -53 'ended' "$driver" spawn:/bin/true status

# A fork of the program: the child gets a clear error at once, the parent goes on.
PIN=1234 "$driver" "$agent" fork "$uri" >"$tmp/out" 2>/dev/null
has "$tmp/out" '^error -53 .*forked'
same "MACs around the fork" "$(grep -c "^$want\$" "$tmp/out")" 2

# A hang costs its caller an error within the time that it set; the PIN is sent once for the next worker.
PIN=1234 TIMEOUT=1000 STATUS=$tmp/status background "$tmp/hold.log" "$driver" "$agent" hold "$uri" "$tmp/held"
wait_for 10 test -e "$tmp/held"
: >"$EKMOTP_FAKE/logins"
: >"$EKMOTP_FAKE/stuck"
start=$(date +%s%N)
rm "$tmp/held"
wait_for 10 gone "$background_pid"
took=$((($(date +%s%N) - start) / 1000000))
has "$tmp/hold.log" '^error -50 '
[ "$took" -lt 3000 ] || die "an error after $took ms where 1000 were allowed"
rm "$EKMOTP_FAKE/stuck"

# The same under load: hang for a while, then crash, then away, in one stream of four threads.
: >"$EKMOTP_FAKE/slow"
rm "$tmp/status"
PIN=1234 TIMEOUT=2000 STATUS=$tmp/status background "$tmp/stream.log" "$driver" "$agent" stream "$uri" 4 2000 \
    "$EKMOTP_FAKE/key" 50
stream=$background_pid
wait_for 10 test -s "$tmp/status"
: >"$EKMOTP_FAKE/logins"
: >"$EKMOTP_FAKE/hang"
wait_for 10 gone "$(worker_of "$tmp/status")"
rm "$EKMOTP_FAKE/hang"
wait_for 10 test -s "$EKMOTP_FAKE/logins"
: >"$EKMOTP_FAKE/crash"
sleep 0.5
rm "$EKMOTP_FAKE/crash"
sleep 0.5
: >"$EKMOTP_FAKE/away"
sleep 0.2
rm "$EKMOTP_FAKE/away" "$EKMOTP_FAKE/slow"
rc=0
wait "$stream" || rc=$?
same "status of the stream" "$rc" 0
has "$tmp/stream.log" '^right 2000 wrong 0 failed [1-9]'
longest=$(sed -n 's/.*longest //p' "$tmp/stream.log")
[ "$longest" -lt 4000 ] || die "a caller waited $longest ms where 2000 were allowed"

# kill -9 of the worker, then of the agent, in the middle.
for victim in worker front supervisor; do
    rm -f "$tmp/status"
    : >"$EKMOTP_FAKE/slow"
    : >"$EKMOTP_FAKE/logins"
    PIN=1234 STATUS=$tmp/status background "$tmp/$victim.log" "$driver" "$agent" stream "$uri" 4 1000 \
        "$EKMOTP_FAKE/key" 30
    stream=$background_pid
    wait_for 10 test -s "$tmp/status"
    sleep 0.2
    case $victim in
        worker) pid=$(worker_of "$tmp/status") ;;
        front) pid=$(front_of "$tmp/status") ;;
        supervisor) pid=$(parent_of "$(front_of "$tmp/status")") ;;
    esac
    kill -KILL "$pid"
    rm "$EKMOTP_FAKE/slow"
    rc=0
    wait "$stream" || rc=$?
    same "status of the stream after the end of its $victim" "$rc" 0
    has "$tmp/$victim.log" '^right 1000 wrong 0 failed'
    same "logins after the end of the $victim" "$(logins)" 2
done

# The worker comes back with another key: no MAC of it gets out.
rm "$tmp/status"
PIN=1234 STATUS=$tmp/status background "$tmp/changed.log" "$driver" "$agent" hold "$uri" "$tmp/held"
wait_for 10 test -e "$tmp/held"
printf ANOTHER_KEY_ANOTHER_KEY_ANOTHER_ >"$EKMOTP_FAKE/key"
kill -KILL "$(worker_of "$tmp/status")"
wait_for 5 gone "$(worker_of "$tmp/status")"
rm "$tmp/held"
wait_for 10 gone "$background_pid"
has "$tmp/changed.log" '^error -52 '

# ... also when the whole agent had to be started anew.
rm "$tmp/status"
PIN=1234 STATUS=$tmp/status background "$tmp/changed.log" "$driver" "$agent" hold "$uri" "$tmp/held"
wait_for 10 test -e "$tmp/held"
printf 0123456789abcdef0123456789abcdef >"$EKMOTP_FAKE/key"
kill -KILL "$(front_of "$tmp/status")"
wait_for 5 gone "$(front_of "$tmp/status")"
rm "$tmp/held"
wait_for 10 gone "$background_pid"
has "$tmp/changed.log" '^error -52 '

# The PIN was changed meanwhile: one try, and from then on none.
rm "$tmp/status"
PIN=1234 STATUS=$tmp/status background "$tmp/refused.log" "$driver" "$agent" stream "$uri" 4 100000 "$EKMOTP_FAKE/key" 3
wait_for 10 test -s "$tmp/status"
printf 9999 >"$EKMOTP_FAKE/pin"
: >"$EKMOTP_FAKE/logins"
kill -KILL "$(worker_of "$tmp/status")"
wait_for 20 gone "$background_pid"
same "tries of the old PIN" "$(logins)" 1
has "$tmp/refused.log" ' wrong 0 .*'
has "$tmp/refused.log" ' of -47: '

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# softhsm.sh: the agent over a real token: right MACs for each hash, kill -9 of the worker and of the agent in
# the middle of 10,000 MACs from 4 threads, a token whose store is gone and comes back.
#
# shellcheck source=tests/lib/test.sh
. "${srcdir:-.}/tests/lib/test.sh"
# shellcheck source=tests/agent/lib.sh
. "$top_src/tests/agent/lib.sh"
# shellcheck source=tests/lib/token.sh
. "$top_src/tests/lib/token.sh"
need softhsm2-util p11tool openssl

softhsm_token "$tmp/hsm" agent 24680135
head -c 64 /dev/urandom >"$tmp/key"
softhsm_import agent 24680135 k "$tmp/key"
(umask 077 && echo 24680135 >"$tmp/pin")
uri="pkcs11:token=agent;object=k?module-path=$token_module"
agent=spawn:$EKMOTP_AGENT
export PIN_FILE=$tmp/pin

for hash in sha256 sha384 sha512; do
    same "$hash" "$("$driver" "$agent" mac "$uri" 00ff "$hash")" "$(mac_of "$tmp/key" 00ff "$hash")"
done
longest=$(printf '%02048d' 0)
same "1024 bytes" "$("$driver" "$agent" mac "$uri" "$longest")" "$(mac_of "$tmp/key" "$longest")"
"$driver" "$agent" stream "$uri" 8 2000 "$tmp/key" >"$tmp/out"
has "$tmp/out" '^right 2000 wrong 0 failed 0'
exits 1 "$driver" "$agent" mac "pkcs11:token=other;object=k?module-path=$token_module" 00 >"$tmp/out"
has "$tmp/out" '^error -42 '
exits 1 "$driver" "$agent" mac "pkcs11:token=agent;object=other?module-path=$token_module" 00 >"$tmp/out"
has "$tmp/out" '^error -44 '
echo 1111 >"$tmp/pin"
exits 1 "$driver" "$agent" mac "$uri" 00 >"$tmp/out"
has "$tmp/out" '^error -47 '
echo 24680135 >"$tmp/pin"

for victim in worker front supervisor; do
    rm -f "$tmp/status"
    STATUS=$tmp/status background "$tmp/$victim.log" "$driver" "$agent" stream "$uri" 4 10000 "$tmp/key" 50
    stream=$background_pid
    wait_for 20 test -s "$tmp/status"
    case $victim in
        worker) pid=$(worker_of "$tmp/status") ;;
        front) pid=$(front_of "$tmp/status") ;;
        supervisor) pid=$(parent_of "$(front_of "$tmp/status")") ;;
    esac
    kill -KILL "$pid" 2>/dev/null || :
    rc=0
    wait "$stream" || rc=$?
    same "status of the stream after the end of its $victim" "$rc" 0
    has "$tmp/$victim.log" '^right 10000 wrong 0 failed'
done

# A worker that is stopped is a module that hangs: an error in time, and the next worker goes on.
rm "$tmp/status"
TIMEOUT=2000 STATUS=$tmp/status background "$tmp/stopped.log" "$driver" "$agent" stream "$uri" 4 100000 "$tmp/key" 6
stream=$background_pid
wait_for 20 test -s "$tmp/status"
kill -STOP "$(worker_of "$tmp/status")"
wait_for 10 gone "$(worker_of "$tmp/status")"
wait "$stream" || :
has "$tmp/stopped.log" '^right [1-9][0-9]* wrong 0 failed [1-9]'
has "$tmp/stopped.log" ' of -50: '
took=$(sed -n 's/.*longest //p' "$tmp/stopped.log")
[ "$took" -lt 4000 ] || die "a caller waited $took ms where 2000 were allowed"

# An agent that is stopped itself: the client's side gives up by its own clock, and starts another.
rm "$tmp/status"
TIMEOUT=2000 STATUS=$tmp/status background "$tmp/front.log" "$driver" "$agent" stream "$uri" 4 100000 "$tmp/key" 6
stream=$background_pid
wait_for 20 test -s "$tmp/status"
front=$(front_of "$tmp/status")
kill -STOP "$front"
wait "$stream" || :
kill -CONT "$front" 2>/dev/null || :
wait_for 10 gone "$front"
has "$tmp/front.log" '^right [1-9][0-9]* wrong 0 failed [1-9]'
took=$(sed -n 's/.*longest //p' "$tmp/front.log")
[ "$took" -lt 4000 ] || die "a caller waited $took ms where 2000 were allowed"

# The store is away for a while: one clear error at once for most callers, and it goes on by itself.
rm "$tmp/status"
STATUS=$tmp/status background "$tmp/store.log" "$driver" "$agent" stream "$uri" 4 10000 "$tmp/key" 50
stream=$background_pid
wait_for 20 test -s "$tmp/status"
mv "$tmp/hsm/tokens" "$tmp/hsm/away"
sleep 0.5
mv "$tmp/hsm/away" "$tmp/hsm/tokens"
rc=0
wait "$stream" || rc=$?
same "status of the stream while the store was away" "$rc" 0
has "$tmp/store.log" '^right 10000 wrong 0'

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# shared.sh: an agent on a socket: who may use it, for which messages, what lock and stop do, and that programs
# find it again after it was restarted.
#
# shellcheck source=tests/lib/test.sh
. "${srcdir:-.}/tests/lib/test.sh"
# shellcheck source=tests/agent/lib.sh
. "$top_src/tests/agent/lib.sh"
need openssl python3

wire=$top_src/tests/agent/wire.py
fake_token 1234
ekm=$(printf '%064d' 7)
v1=00000001$(printf 'ekmotp v1 channel' | od -An -tx1 | tr -d ' \n')00${ekm}00000100
apikey=00000000${ekm}00000100
agent_command=("$EKMOTP" agent)

# Refused before anything listens.
exits 2 "$fake_agent" 2>/dev/null
exits 2 "$fake_agent" --no-such-option 2>/dev/null
exits 2 "$fake_agent" --group no-such-group --socket "$sock" 2>/dev/null
mkdir -m 755 "$tmp/open"
exits 1 "$fake_agent" --socket "$tmp/open/agent" 2>"$tmp/out"
has "$tmp/out" 'chmod 700'
exits 1 "$fake_agent" --socket "$tmp/$(printf '%0200d' 1)/agent" 2>/dev/null
exits 3 "${agent_command[@]}" --agent "$sock" status 2>"$tmp/out"
has "$tmp/out" 'no agent listens there'
exits 2 "${agent_command[@]}" status 2>/dev/null

start_shared
same "mode of the folder" "$(stat -c %a "$tmp/run")" 700
same "mode of the socket" "$(stat -c %a "$sock")" 600
exits 1 "$fake_agent" --socket "$sock" 2>"$tmp/out"
has "$tmp/out" 'listens there already'

# By default only the message of the v1 channel secret, under the key's own hash.
export EKMOTP_AGENT_SOCK=$sock
same v1 "$(PIN=1234 "$driver" "$sock" mac "$uri" "$v1" 2>/dev/null)" "$(mac_of "$EKMOTP_FAKE/key" "$v1")"
for message in "$apikey" "$ekm" 00 "${v1%00}" "${v1}00" "00000002${v1#00000001}"; do
    exits 1 "$driver" "$sock" mac "$uri" "$message" >"$tmp/out"
    has "$tmp/out" '^error -54 '
done
exits 1 "$driver" "$sock" mac "$uri" "$v1" sha512 >"$tmp/out"
has "$tmp/out" '^error -54 '

# The PIN was asked for once: other programs need none, and the token saw it once.
same logins "$(logins)" 1
same "MAC by our Python" "$(python3 "$wire" "$sock" mac "$uri" "$v1")" "$(mac_of "$EKMOTP_FAKE/key" "$v1")"

"${agent_command[@]}" status >"$tmp/out"
has "$tmp/out" '1 PINs kept'
has "$tmp/out" "^key $uri: open, SHA-256"
"${agent_command[@]}" status --json >"$tmp/status"
python3 -c 'import json,sys; s=json.load(open(sys.argv[1])); assert s["policy"]==["v1"] and s["mode"]=="shared"' "$tmp/status"
lacks "$tmp/status" 1234

# lock: the PIN is gone and the token logged out, for programs that have the key open, too.
STATUS=$tmp/status background "$tmp/hold.log" "$driver" "$sock" hold "$uri" "$tmp/held"
wait_for 10 test -e "$tmp/held"
"${agent_command[@]}" lock
rm "$tmp/held"
wait_for 10 gone "$background_pid"
has "$tmp/hold.log" '^error -46 .*locked'
exits 1 "$driver" "$sock" mac "$uri" "$v1" >"$tmp/out"
has "$tmp/out" '^error -46 '
"${agent_command[@]}" status >"$tmp/out"
has "$tmp/out" '0 PINs kept'
same "logins after lock" "$(logins)" 1

# A PIN that was refused is not sent again, whoever comes with it; the right one is.
for _ in 1 2 3; do
    PIN=666666 exits 1 "$driver" "$sock" mac "$uri" "$v1" >"$tmp/out" 2>/dev/null
    has "$tmp/out" '^error -47 '
done
same "tries of a wrong PIN" "$(logins)" 2
PIN=1234 "$driver" "$sock" mac "$uri" "$v1" >/dev/null 2>&1
same "the right PIN" "$(logins)" 3

# A program goes on when the agent was restarted: no restart of the program, one login.
(umask 077 && echo 1234 >"$tmp/pin")
PIN_FILE=$tmp/pin background "$tmp/restart.log" "$driver" "$sock" stream "$uri" 4 3000 "$EKMOTP_FAKE/key" 40
stream=$background_pid
: >"$EKMOTP_FAKE/slow"
wait_for 10 sh -c "'$driver' '$sock' status | grep -q '\"clients\":2'"
: >"$EKMOTP_FAKE/logins"
"${agent_command[@]}" stop
wait_for 10 test ! -e "$sock"
start_shared
rm "$EKMOTP_FAKE/slow"
rc=0
wait "$stream" || rc=$?
same "status of the stream" "$rc" 0
has "$tmp/restart.log" '^right 3000 wrong 0 failed'
same "logins after the restart" "$(logins)" 1

# One that does not know the PIN goes on as soon as somebody else enters it.
background "$tmp/restart.log" "$driver" "$sock" stream "$uri" 2 500 "$EKMOTP_FAKE/key" 30
stream=$background_pid
: >"$EKMOTP_FAKE/slow"
wait_for 10 sh -c "'$driver' '$sock' status | grep -q '\"clients\":2'"
"${agent_command[@]}" stop
wait_for 10 test ! -e "$sock"
start_shared
PIN=1234 "$driver" "$sock" mac "$uri" "$v1" >/dev/null 2>&1
rm "$EKMOTP_FAKE/slow"
rc=0
wait "$stream" || rc=$?
same "status of the stream" "$rc" 0
has "$tmp/restart.log" '^right 500 wrong 0 failed'
"${agent_command[@]}" stop
wait_for 10 test ! -e "$sock"

# The options allow more.
start_shared --allow-compat
for message in "$v1" "$apikey" "$ekm"; do
    same "--allow-compat" "$(PIN=1234 "$driver" "$sock" mac "$uri" "$message" 2>/dev/null)" \
        "$(mac_of "$EKMOTP_FAKE/key" "$message")"
done
exits 1 "$driver" "$sock" mac "$uri" 00 >"$tmp/out"
has "$tmp/out" '^error -54 '
"${agent_command[@]}" stop
wait_for 10 test ! -e "$sock"
start_shared --allow-raw
same "--allow-raw" "$(PIN=1234 "$driver" "$sock" mac "$uri" 00 2>/dev/null)" "$(mac_of "$EKMOTP_FAKE/key" 00)"

# Modules that others may write are code of others.
: >"$tmp/evil.so"
chmod 666 "$tmp/evil.so"
exits 1 "$driver" "$sock" mac "$uri?module-path=$tmp/evil.so" 00 >"$tmp/out"
has "$tmp/out" '^error -54 .*root alone may write'

# Whatever comes over the socket, the agent lives.
python3 "$wire" "$sock" abuse
same flood "$(python3 "$wire" "$sock" flood "$uri" | cut -d' ' -f1)" right
python3 "$wire" "$sock" greedy
same "still there" "$("$driver" "$sock" mac "$uri" 00 2>/dev/null)" "$(mac_of "$EKMOTP_FAKE/key" 00)"

# SIGTERM ends it, and its socket with it; one that was killed leaves a socket that the next one replaces.
stop "$background_pid" || :
[ ! -e "$sock" ] || die "the socket is still there"
start_shared
kill -KILL "$background_pid"
wait_for 5 gone "$background_pid"
start_shared
stop "$background_pid" || :

# What is no socket is not replaced by one.
echo precious >"$tmp/run/file"
ln -s nowhere "$tmp/run/link"
for path in file link; do
    exits 1 timeout 20 "$fake_agent" --socket "$tmp/run/$path" 2>"$tmp/out"
    has "$tmp/out" 'Address already in use'
done
same "the file" "$(cat "$tmp/run/file")" precious
[ -h "$tmp/run/link" ] || die "the link is gone"
rm "$tmp/run/file" "$tmp/run/link"

# Without descriptors for more connections it waits, and does not turn in a busy loop.
ticks()
{
    awk '{ print $14 + $15 }' "/proc/$1/stat"
}
start_shared
"$driver" "$sock" status >"$tmp/status"
front=$(front_of "$tmp/status")
prlimit --pid "$front" --nofile=12:12
background "$tmp/crowd.log" python3 "$wire" "$sock" crowd 20
wait_for 10 grep -q connected "$tmp/crowd.log"
before=$(ticks "$front")
sleep 1 # the time over which the work is counted
spent=$(($(ticks "$front") - before))
[ "$spent" -lt 10 ] || die "$spent ticks of work in a second of waiting"
stop "$background_pid" || :
wait_for 10 "$driver" "$sock" status
"${agent_command[@]}" stop
wait_for 10 test ! -e "$sock"

# An agent that ends takes its own socket with it, and no other's that came to be at its path.
start_shared
older=$background_pid
rm "$sock"
start_shared
newer=$background_pid
kill -TERM "$older"
wait_for 10 gone "$older"
"${agent_command[@]}" status >"$tmp/out"
kill -KILL "$newer"
wait_for 10 gone "$newer"
wait_for 10 fails "$driver" "$sock" status
[ -S "$sock" ] || die "a killed agent leaves its socket; what follows needs it"
# Of many that find a socket without an agent, one gets the path, and it is the one that answers there.
starters=()
for i in $(seq 10); do
    background "$tmp/starter.$i" "$fake_agent" --socket "$sock"
    starters+=("$background_pid")
done
left()
{
    local pid
    alive=()
    for pid in "${starters[@]}"; do
        gone "$pid" || alive+=("$pid")
    done
    [ "${#alive[@]}" -le 1 ]
}
wait_for 10 left
wait_for 10 "$driver" "$sock" status
left
same "agents that stayed" "${#alive[@]}" 1
"$driver" "$sock" status >"$tmp/status"
same "whose socket it is" "$(parent_of "$(front_of "$tmp/status")")" "${alive[0]}"
"${agent_command[@]}" stop
wait_for 10 gone "${alive[0]}"
[ ! -e "$sock" ] || die "the socket outlives its agent"

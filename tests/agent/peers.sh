#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# peers.sh: other users are refused by a shared agent, members of its group are served, and may not manage it.
#
# shellcheck source=tests/lib/test.sh
. "${srcdir:-.}/tests/lib/test.sh"
# shellcheck source=tests/agent/lib.sh
. "$top_src/tests/agent/lib.sh"
need setpriv
# Where python3 is one of root's own, others cannot run it.
python=/usr/bin/python3
[ -x "$python" ] || skip "there is no $python"
[ "$(id -u)" = 0 ] || skip "only root can be two users"

# Another user needs a way to the files of the test.
cp "$top_src/tests/agent/wire.py" "$tmp/wire.py"
chmod 755 "$tmp" "$tmp/wire.py"
fake_token ''
v1=00000001$(printf 'ekmotp v1 channel' | od -An -tx1 | tr -d ' \n')00$(printf '%064d' 7)00000100

# as GROUPS COMMAND...: as the user nobody, with these supplementary groups.
as()
{
    local groups=$1
    shift
    if [ -n "$groups" ]; then
        setpriv --reuid=65534 --regid=65534 --groups="$groups" -- "$@"
    else
        setpriv --reuid=65534 --regid=65534 --clear-groups -- "$@"
    fi
}

start_shared
fails as '' "$python" "$tmp/wire.py" "$sock" hello 2>"$tmp/out"
has "$tmp/out" 'PermissionError'
# Also where somebody opened the folder: the agent looks at who asks.
chmod 755 "$tmp/run"
chmod 666 "$sock"
as '' "$python" "$tmp/wire.py" "$sock" hello >"$tmp/out"
has "$tmp/out" '^error -54 .*belongs to the user 0 and serves that user only'
same "root itself" "$("$python" "$tmp/wire.py" "$sock" hello)" "welcome 1"
stop "$background_pid" || :

# Group 12 (man, on Debian) is a group that nobody is no member of.
group=$(getent group 12 | cut -d: -f1)
[ -n "$group" ] || skip "there is no group 12"
rm -rf "$tmp/run"
start_shared --group "$group"
same "mode of the folder" "$(stat -c %a:%g "$tmp/run")" 750:12
same "mode of the socket" "$(stat -c %a:%g "$sock")" 660:12
fails as '' "$python" "$tmp/wire.py" "$sock" hello 2>"$tmp/out"
same "a member" "$(as 12 "$python" "$tmp/wire.py" "$sock" hello)" "welcome 1"
same "a member's MAC" "$(as 12 "$python" "$tmp/wire.py" "$sock" mac "$uri" "$v1")" \
    "$("$python" "$tmp/wire.py" "$sock" mac "$uri" "$v1")"
as 12 "$python" "$tmp/wire.py" "$sock" mac "$uri?module-path=/bin/true" "$v1" >"$tmp/out" 2>&1 || :
has "$tmp/out" '^error -54 .*members of the group'
for what in lock stop admin; do
    as 12 "$python" "$tmp/wire.py" "$sock" "$what" >"$tmp/out"
    has "$tmp/out" '^error -54 .*only the user that runs it'
done
# However many connections they hold, the owner gets one.
background "$tmp/crowd.log" setpriv --reuid=65534 --regid=65534 --groups=12 -- "$python" "$tmp/wire.py" "$sock" crowd 80
wait_for 10 grep -q connected "$tmp/crowd.log"
same "the owner" "$("$python" "$tmp/wire.py" "$sock" hello)" "welcome 1"
as 12 "$python" "$tmp/wire.py" "$sock" hello >"$tmp/out"
has "$tmp/out" '12 programs of the user 65534'
# Nor does one member shut out another; but all of them together have no more than their part.
crowd_of()
{
    background "$tmp/crowd.$1" setpriv --reuid="$1" --regid="$1" --groups=12 -- "$python" "$tmp/wire.py" "$sock" crowd 13
    crowds+=("$background_pid")
    wait_for 10 grep -q connected "$tmp/crowd.$1"
}
crowds=("$background_pid")
same "another member" "$(setpriv --reuid=65533 --regid=65533 --groups=12 -- "$python" "$tmp/wire.py" "$sock" hello)" \
    "welcome 1"
for user in 65531 65532 65533; do
    crowd_of "$user"
done
setpriv --reuid=65530 --regid=65530 --groups=12 -- "$python" "$tmp/wire.py" "$sock" hello >"$tmp/out"
has "$tmp/out" '48 programs of other users'
same "the owner" "$("$python" "$tmp/wire.py" "$sock" hello)" "welcome 1"
for pid in "${crowds[@]}"; do
    stop "$pid" || :
done
chmod 755 "$tmp/run"
chmod 666 "$sock"
as '' "$python" "$tmp/wire.py" "$sock" hello >"$tmp/out"
has "$tmp/out" '^error -54 '

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# hardening.sh: what the agent's processes have given up, how much memory they take, that no PIN is to be seen,
# and that a private agent ends with its parent, however that ends.
#
# shellcheck source=tests/lib/test.sh
. "${srcdir:-.}/tests/lib/test.sh"
# shellcheck source=tests/agent/lib.sh
. "$top_src/tests/agent/lib.sh"

fake_token 31415926
sanitized=no
case "$(nm -D "$fake_agent" 2>/dev/null)" in
    *__asan_init* | *__tsan_init*) sanitized=yes ;;
esac

# field PID NAME: a field of /proc/PID/status.
field()
{
    sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status"
}

PIN=31415926 STATUS=$tmp/status background "$tmp/hold.log" "$driver" "spawn:$fake_agent" hold "$uri" "$tmp/held"
program=$background_pid
wait_for 10 test -s "$tmp/status"
front=$(front_of "$tmp/status")
worker=$(worker_of "$tmp/status")
supervisor=$(parent_of "$front")
same "parent of the worker" "$(parent_of "$worker")" "$supervisor"
[ "$supervisor" != "$program" ] || die "the agent is a child of its program"

for pid in "$front" "$worker" "$supervisor"; do
    same "no new privileges of $pid" "$(field "$pid" NoNewPrivs)" 1
    has "/proc/$pid/limits" '^Max core file size +0 +0'
    tr '\0' ' ' <"/proc/$pid/cmdline" >"$tmp/cmdline"
    lacks "$tmp/cmdline" 31415926
    # Only root can look, and it must not see the PIN there either (our caller's environment has it, the
    # agent's has not: it came over the socket).
    if [ "$sanitized" = no ] && [ "$(id -u)" -ne 0 ]; then
        fails cat "/proc/$pid/environ" >"$tmp/environ" 2>&1
    fi
done
if [ "$sanitized" = no ]; then
    case "$(cat "$top_build/config.h")" in
        *'#define HAVE_SECCOMP 1'*) same "seccomp of the front" "$(field "$front" Seccomp)" 2 ;;
    esac
    total=0
    for pid in "$front" "$supervisor"; do
        kib=$(field "$pid" VmRSS | cut -d' ' -f1)
        say "resident: $(tr '\0' ' ' <"/proc/$pid/cmdline") $kib KiB"
        total=$((total + kib))
    done
    [ "$total" -lt 10240 ] || die "the idle agent has $total KiB resident"
fi

# The parent is killed while a fork of it keeps the socket open: the agent must not live on for the fork.
gone_all()
{
    gone "$front" && gone "$worker" && gone "$supervisor"
}
kill -KILL "$program"
wait_for 10 gone_all

# A worker that hangs for ever does not live on either.
rm "$tmp/status"
PIN=31415926 STATUS=$tmp/status background "$tmp/hold.log" "$driver" "spawn:$fake_agent" hold "$uri" "$tmp/held"
program=$background_pid
wait_for 10 test -s "$tmp/status"
front=$(front_of "$tmp/status")
worker=$(worker_of "$tmp/status")
supervisor=$(parent_of "$front")
: >"$EKMOTP_FAKE/stuck"
rm "$tmp/held"
sleep 0.2
kill -KILL "$program"
wait_for 10 gone_all

# A connection that never greets is closed; it must not hold one of the agent's places for ever.
rm "$EKMOTP_FAKE/stuck"
if command -v python3 >/dev/null; then
    start_shared
    took=$(python3 "$top_src/tests/agent/wire.py" "$sock" idle)
    [ "$took" -ge 5 ] && [ "$took" -le 15 ] || die "a mute client was kept for $took s"
fi

# What systemd does: the socket is passed as descriptor 3, and outlives the agent.
if command -v python3 >/dev/null; then
    python3 - "$fake_agent" "$tmp/passed" <<'END' &
import os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[2])
s.listen(5)
os.dup2(s.fileno(), 3)
os.set_inheritable(3, True)
os.environ["LISTEN_PID"], os.environ["LISTEN_FDS"] = str(os.getpid()), "1"
os.execv(sys.argv[1], ["ekmotp-agent"])
END
    test_pids+=($!)
    wait_for 10 "$driver" "$tmp/passed" status
    PIN=31415926 "$driver" "$tmp/passed" hold "$uri" "$tmp/held2" >/dev/null 2>&1 &
    wait_for 10 test -e "$tmp/held2"
    rm "$tmp/held2"
    "$driver" "$tmp/passed" stop
    wait_for 10 fails "$driver" "$tmp/passed" status
    [ -S "$tmp/passed" ] || die "the agent removed a socket that is systemd's"
fi

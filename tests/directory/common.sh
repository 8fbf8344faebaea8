# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154 # test.sh sets
#
# common.sh: what the tests of "ekmotpd client" share, after test.sh.

db=$tmp/clients.db

# client COMMAND...: one command on $db; its output in $tmp/out.log, its messages in $tmp/err.log.
client()
{
    "$EKMOTPD" client "$@" --directory "$db" --agent-program "$EKMOTP_AGENT" >"$tmp/out.log" 2>"$tmp/err.log" </dev/null
}

# on FILE COMMAND...: the command, a function of these, with another directory.
on()
{
    local db=$1
    shift
    "$@"
}

# good COMMAND...: must succeed.
good()
{
    local rc=0
    client "$@" || rc=$?
    [ "$rc" -eq 0 ] || die "status $rc: client $*: $(cat "$tmp/err.log")"
}

# bad STATUS REGEX COMMAND...: must fail with this status and say why, in one line that names the command.
bad()
{
    local want=$1 words=$2 rc=0
    shift 2
    client "$@" || rc=$?
    [ "$rc" -eq "$want" ] || die "status $rc where $want was expected: client $*: $(cat "$tmp/err.log")"
    has "$tmp/err.log" "$words"
    has "$tmp/err.log" '^ekmotpd client'
}

# out REGEX, err REGEX: what the last command printed.
out() { has "$tmp/out.log" "$1"; }
err() { has "$tmp/err.log" "$1"; }

# json EXPRESSION: of the last command's output o, by Python; must be true.
json()
{
    python3 - "$tmp/out.log" "$1" <<'END' || die "not true: $1 of $(head -c 1000 "$tmp/out.log")"
import json, sys
with open(sys.argv[1], encoding="utf-8") as f:
    o = json.load(f)
sys.exit(0 if eval(sys.argv[2]) else 1)
END
}

# mode FILE OCTAL
mode() { same "mode of $1" "$(stat -c %a "$1")" "$2"; }

# random_key FILE [BYTES]
random_key()
{
    (umask 077 && head -c "${2:-32}" /dev/urandom >"$1")
}

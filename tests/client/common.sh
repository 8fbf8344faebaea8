# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154,SC2034 # test.sh sets, tests use
#
# common.sh: what the tests of the client share, after test.sh: a certificate, a key, a server that can
# misbehave, and requests whose exit code and message are checked.

# shellcheck source=tests/lib/tls.sh
. "$top_src/tests/lib/tls.sh"

need openssl
/usr/bin/python3 -c 'import OpenSSL' 2>/dev/null || skip "python3-openssl is not installed"

make_certificate "$tmp/cert"
ca=$tmp/cert/ca.pem
(umask 077 && head -c 32 /dev/urandom >"$tmp/key")

# start_server NAME [OPTION...]: tests/client/server.py; its port is in $port, its log $tmp/NAME.log.
start_server()
{
    local log=$tmp/$1.log
    shift
    background "$log" /usr/bin/python3 "$top_src/tests/client/server.py" --folder "$tmp/cert" \
        --client-key "$tmp/key" "$@"
    wait_for 20 grep -q '^listening ' "$log"
    port=$(sed -n 's/^listening //p' "$log")
}

# request ARGS...: ekmotp request as client1, which trusts the test CA; body to $tmp/body, messages to
# $tmp/messages, a report to $tmp/report.json.
request()
{
    timeout 60 "$EKMOTP" request --id client1 --key "file:$tmp/key" --cacert "$ca" --report "$tmp/report.json" "$@" \
        >"$tmp/body" 2>"$tmp/messages" </dev/null
}

# good ARGS...: the request must succeed.
good()
{
    request "$@" || die "status $? for: $*: $(cat "$tmp/messages")"
}

# bad STATUS REGEX ARGS...: the request must end with this exit code and a message.
bad()
{
    local status=$1 regex=$2
    shift 2
    exits "$status" request "$@"
    has "$tmp/messages" "$regex"
}

# body TEXT: what the last request handed out.
body()
{
    same "body" "$(cat "$tmp/body")" "$1"
}

# report EXPRESSION VALUE: of the last line of the last request's report (Python: r is the object).
report()
{
    same "report: $1" "$(tail -n 1 "$tmp/report.json" | /usr/bin/python3 -c \
        "import json, sys; r = json.load(sys.stdin); print($1)")" "$2"
}

# requests NAME EXPRESSION: of each request in a server's log since the last mark (Python: r), in one line.
requests()
{
    tail -n "+$((${marks[$1]-0} + 1))" "$tmp/$1.log" | sed -n '/^{.*"method"/p' | /usr/bin/python3 -c \
        "import json, sys
print(*[($2) for r in map(json.loads, sys.stdin)])"
}

# mark NAME: forgets the requests of a server up to now.
declare -A marks
mark()
{
    marks[$1]=$(wc -l <"$tmp/$1.log")
}

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# valgrind.sh: the main path under valgrind: ekmotp request with a key in a file and in SoftHSM, and ekmotpd. No
# invalid access, no use of uninitialised memory, no leak, for what works and for what is refused. The agent runs
# beside them as it is: it uses system calls that valgrind 3.19 does not know; the sanitized build covers it.
# shellcheck source=tests/lib/test.sh
. "${srcdir:-.}/tests/lib/test.sh"
# shellcheck source=tests/lib/tls.sh
. "$top_src/tests/lib/tls.sh"
# shellcheck source=tests/lib/token.sh
. "$top_src/tests/lib/token.sh"

need valgrind openssl
if grep -q '^SANITIZE_CFLAGS = .*fsanitize' Makefile; then
    skip "valgrind and sanitizers exclude each other; this build has sanitizers"
fi

# Leaks: what nobody points to any more. Memory that libraries keep until exit is theirs.
valgrind=(valgrind --quiet --leak-check=full "--show-leak-kinds=definite,possible"
    "--errors-for-leak-kinds=definite,possible" --error-exitcode=101 --num-callers=30
    "--suppressions=$top_src/tests/fault/valgrind.supp")

# under NAME: sets $under, the words before a program that is to run under valgrind, whose findings go to
# $tmp/NAME.valgrind.PID. (No function: a background function is a shell of its own between test and program.)
under()
{
    under=("$top_build/libtool" --silent --mode=execute "${valgrind[@]}" "--log-file=$tmp/$1.valgrind.%p")
}

# clean NAME: nothing was found in any process of that name, and there was at least one.
clean()
{
    local file found=
    for file in "$tmp/$1".valgrind.*; do
        [ -e "$file" ] || die "valgrind has not written $1"
        [ ! -s "$file" ] || found=$file
    done
    [ -z "$found" ] || die "valgrind found this in $1: $(head -n 60 "$found")"
}

make_certificate "$tmp/tls"
(umask 077 && head -c 32 /dev/urandom >"$tmp/key" && head -c 32 /dev/urandom >"$tmp/other")
"$EKMOTPD" client add client1 --directory "$tmp/clients.db" --key-file "$tmp/key" \
    --profile v1,compat-apikey,compat-jws,compat-jwe
under server
background "$tmp/server.log" "${under[@]}" "$EKMOTPD" serve --listen 127.0.0.1:0 --cert "$tmp/tls/server.pem" \
    --key "$tmp/tls/server.key" --directory "$tmp/clients.db" --compat-client client1 \
    --profile v1,compat-apikey,compat-jws,compat-jwe \
    --handshake-timeout 300 --header-timeout 300 --idle-timeout 300 --send-timeout 300
server=$background_pid
wait_for 60 grep -q '^listening on' "$tmp/server.log"
port=$(sed -n 's/^listening on .*:\([0-9]*\)$/\1/p' "$tmp/server.log" | head -n 1)

# ask STATUS OPTIONS...: one request under valgrind must end with this status.
ask()
{
    local want=$1
    shift
    under client
    exits "$want" "${under[@]}" "$EKMOTP" request --id client1 --cacert "$tmp/tls/ca.pem" -sS "$@" \
        "https://localhost:$port/get"
    clean client
}

ask 0 --key "file:$tmp/key" --require-server-proof --repeat 3
ask 0 --key "file:$tmp/key" --tls12
ask 0 --key "file:$tmp/key" --carrier jws
ask 0 --key "file:$tmp/key" --carrier jwe
ask 0 --key "file:$tmp/key" --profile compat-apikey
ask 0 --key "file:$tmp/key" --profile compat-jwe
ask 5 --key "file:$tmp/other"
ask 2 --key "file:$tmp/key" --profile v2
ask 3 --key "file:$tmp/missing"
ask 4 --key "file:$tmp/key" --connect-to "localhost:$port:localhost:1"

if command -v softhsm2-util >/dev/null && command -v p11tool >/dev/null; then
    at_exit tokens_stop
    (umask 077 && echo 1234 >"$tmp/pin" && echo 9999 >"$tmp/wrong")
    softhsm_token "$tmp/token" fault 1234
    softhsm_import fault 1234 client1 "$tmp/key"
    uri="pkcs11:token=fault;object=client1?module-path=$token_module"
    ask 0 --agent-program "$EKMOTP_AGENT" --pin-source "$tmp/pin" --key "$uri"
    ask 3 --agent-program "$EKMOTP_AGENT" --pin-source "$tmp/wrong" --key "$uri"
    ask 3 --agent-program "$EKMOTP_AGENT" --pin-source "$tmp/pin" --key "pkcs11:token=none?module-path=$token_module"
fi

stop "$server" || die "ekmotpd ended with status $?"
clean server

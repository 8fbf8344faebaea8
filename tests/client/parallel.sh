#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# parallel.sh: several requests at once: on one HTTP/2 connection, whose answers come in any order, and on
# several of HTTP/1.1. Each n is used once, each connection costs one operation in the token.
#
# shellcheck source=tests/lib/test.sh
. "${srcdir:-.}/tests/lib/test.sh"
# shellcheck source=tests/client/common.sh
. "$top_src/tests/client/common.sh"
# shellcheck source=tests/lib/token.sh
. "$top_src/tests/lib/token.sh"
need node softhsm2-util p11tool

umask 077
printf '1234\n' >"$tmp/pin"
softhsm_token "$tmp/softhsm" here 1234 || cannot "no SoftHSM token"
softhsm_import here 1234 client1 "$tmp/key" || cannot "the key is not imported"
export EKMOTP_SPY_MODULE=$token_module EKMOTP_SPY_LOG=$tmp/spy
token=(--key "pkcs11:token=here;object=client1?module-path=$top_build/tests/client/.libs/spy.so"
    --pin-source "$tmp/pin" --agent-program "$EKMOTP_AGENT")

# numbers NAME: connections, requests, different pairs of connection and n, and requests that were refused.
numbers()
{
    requests "$1" 'str(r["connection"]) + ":" + r["credentials"].split("n=")[1].split(",")[0] + ("" if r["accepted"] else "!")' |
        tr ' ' '\n' >"$tmp/n"
    echo "$(cut -d: -f1 "$tmp/n" | sort -u | wc -l) $(wc -l <"$tmp/n") $(sort -u "$tmp/n" | wc -l) $(grep -c '!' "$tmp/n" || :)"
}

: >"$tmp/spy"
bad 4 connect "${token[@]}" https://127.0.0.1:1/
opening=$(grep -c sign "$tmp/spy")

for tls in 1.2 1.3; do
    name=node$tls
    background "$tmp/$name.log" node "$top_src/tests/client/http2_server.js" --cert "$tmp/cert/server.pem" \
        --cert-key "$tmp/cert/server.key" --client-key "$tmp/key" --tls "$tls"
    wait_for 20 grep -q '^listening ' "$tmp/$name.log"
    url=https://localhost:$(sed -n 's/^listening //p' "$tmp/$name.log")

    : >"$tmp/spy"
    good "${token[@]}" --require-server-proof --parallel 16 --repeat 50 "$url/late" "$url/get"
    same "answers" "$(tr -d ok <"$tmp/body" | wc -c) $(wc -c <"$tmp/body")" "0 200"
    same "connections, requests, numbers, refusals" "$(numbers "$name")" "1 100 100 0"
    same "C_Sign" "$(($(grep -c sign "$tmp/spy") - opening))" 1
    # The answers came in another order than the requests.
    same "reports" "$(wc -l <"$tmp/report.json")" 100
    /usr/bin/python3 -c 'import json, sys
n = [json.loads(line)["n"] for line in open(sys.argv[1])]
sys.exit(n == sorted(n) or sorted(n) != list(range(1, 101)))' "$tmp/report.json" || die "the answers came in turn"

    # One answer among many that proves nothing: the others are handed out, it is not, and it is told.
    bad 6 'server proof is wrong' --parallel 4 "$url/get" "$url/late" "$url/lie" "$url/get"
    body okokok
    bad 5 'refused' --parallel 4 --id other "$url/get" "$url/late"
    body refusedrefused
    # Sessions that end in the middle: libcurl 7.88 fails requests that others could answer. None is refused.
    mark "$name"
    rc=0
    request --require-server-proof --parallel 4 --repeat 5 "$url/get" "$url/goodbye" "$url/late" || rc=$?
    case $rc in 0 | 4) ;; *) die "exit code $rc: $(cat "$tmp/messages")" ;; esac
    same "refusals" "$(numbers "$name" | cut -d' ' -f4)" 0
done

for tls in --tls12 --tls13; do
    start_server "server$tls"
    url=https://localhost:$port
    good $tls --require-server-proof --parallel 20 --repeat 30 "$url/get"
    numbers=$(numbers "server$tls")
    same "requests, numbers, refusals" "${numbers#* }" "30 30 0"
    [ "${numbers%% *}" -le 8 ] || die "more connections than may be open at once: $numbers"
    # Dying and slow ones among them, and more than one server.
    start_server "second$tls"
    good $tls --require-server-proof --parallel 6 --repeat 6 "$url/get" "https://localhost:$port/dies" "$url/closes" \
        "https://localhost:$port/slow?t=0.05" "$url/dies"
    same "refusals" "$(numbers "server$tls" | cut -d' ' -f4) $(numbers "second$tls" | cut -d' ' -f4)" "0 0"
    good $tls --parallel 3 -o "$tmp/out" --repeat 3 "$url/get"
    same "file" "$(cat "$tmp/out")" okokok
done

# A hard failure ends it: what is under way is finished, nothing more is started.
mark "server--tls13"
bad 6 'server proof' --tls13 --parallel 2 --repeat 100 "$url/wrong-proof"
[ "$(requests "server--tls13" 1 | wc -w)" -le 4 ] || die "it went on after a wrong proof"
# Answers that are held until they can be written whole take a bounded room.
good --parallel 2 -o "$tmp/out" "$url/large?bytes=16700000"
bad 2 'more than 16777216 bytes; ask for it without --parallel' --parallel 2 -o "$tmp/out" "$url/large?bytes=16800000"
good -o "$tmp/out" "$url/large?bytes=16800000"

bad 2 'not a number of 1 to 32' --parallel 0 "$url/get"
bad 2 'not a number of 1 to 32' --parallel 33 "$url/get"

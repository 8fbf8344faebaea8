#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# interceptor.sh: something in the path ends TLS with a CA that the client trusts and relays what both say.
# Both ends notice: the server's log says that the request came from another TLS session, the client gets
# no answer with a proof. docs/interception.md tells what it looks like.
#
# shellcheck source=tests/lib/test.sh
. "${srcdir:-.}/tests/lib/test.sh"
# shellcheck source=tests/client/common.sh
. "$top_src/tests/client/common.sh"

make_certificate "$tmp/rogue"
cp "$tmp/rogue/server.pem" "$tmp/rogue/rogue.pem"
cp "$tmp/rogue/server.key" "$tmp/rogue/rogue.key"
cat "$ca" "$tmp/rogue/ca.pem" >"$tmp/trusted.pem"

start_interceptor()
{
    local log=$tmp/$1.log
    shift
    background "$log" /usr/bin/python3 "$top_src/tests/client/proxy.py" --intercept "$tmp/rogue" "$@"
    wait_for 20 grep -q '^listening ' "$log"
    proxy=http://localhost:$(sed -n 's/^listening //p' "$log")
}

start_server server
url=https://localhost:$port
start_interceptor relay

# A client that does not trust the rogue CA sends nothing.
bad 4 'certificate does not verify' --proxy "$proxy" "$url/get"
same "requests that were sent" "$(requests server 1)" ""

# One that does: the interceptor can relay everything that TLS carries, and is refused all the same.
ca=$tmp/trusted.pem
for tls in --tls12 --tls13; do
    mark server
    good $tls "$url/get"
    bad 5 'refused .401.*something that intercepts TLS' $tls --proxy "$proxy" "$url/get"
    body refused
    same "what the server saw" "$(requests server 'r["why"]')" " another session or client"
    bad 5 'refused' $tls --require-server-proof --proxy "$proxy" "$url/get"
    body ""
done

# An interceptor that answers by itself, or passes on an answer that asked for nothing, has no proof.
number=0
for path in 'status?s=200' 'redirect?to=/get'; do
    for strip in "" --strip; do
        # shellcheck disable=SC2086 # an option or nothing
        number=$((number + 1))
        start_interceptor "answers$number" $strip
        bad 6 'no server proof: the peer does not know the client key' --require-server-proof -L --proxy "$proxy" \
            "$url/$path"
        body ""
    done
done

# The proof of the interceptor's own connection to the server is none on the client's.
(umask 077 && cp "$tmp/key" "$tmp/stolen.key")
exits 5 "$EKMOTP" request --id client1 --key "file:$tmp/stolen.key" --cacert "$ca" --proxy "$proxy" "$url/get" \
    >"$tmp/body" 2>&1

# ekmotpd tells it from a wrong key in its log and its numbers, and in nothing that it answers.
(umask 077 && head -c 32 /dev/urandom >"$tmp/wrong.key")
"$EKMOTPD" client add client1 --directory "$tmp/clients.db" --key-file "$tmp/key"
background "$tmp/ekmotpd.log" "$EKMOTPD" serve --listen 127.0.0.1:0 --cert "$tmp/cert/server.pem" \
    --key "$tmp/cert/server.key" --directory "$tmp/clients.db" --profile v1
wait_for 20 grep -q '^listening on' "$tmp/ekmotpd.log"
url=https://localhost:$(sed -n 's/^listening on .*:\([0-9]*\)$/\1/p' "$tmp/ekmotpd.log" | head -n 1)
good --require-server-proof "$url/get"
start_interceptor last
for tls in --tls12 --tls13; do
    bad 5 'refused' $tls -i --proxy "$proxy" "$url/get"
    grep -v '^Date:' "$tmp/body" >"$tmp/intercepted$tls"
    exits 5 "$EKMOTP" request --id client1 --key "file:$tmp/wrong.key" --cacert "$ca" $tls -i --http1.1 "$url/get" \
        >"$tmp/body" 2>/dev/null
    grep -v '^Date:' "$tmp/body" >"$tmp/wrong$tls"
    cmp "$tmp/intercepted$tls" "$tmp/wrong$tls" || die "the refusals differ"
    bad 5 'refused' $tls --require-server-proof --proxy "$proxy" "$url/get"
    body ""
done
wait_for 10 grep -q 'reason=wrong-proof' "$tmp/ekmotpd.log"
same "requests from other sessions" "$(grep -c 'reason=other-session' "$tmp/ekmotpd.log")" 4
same "requests with a wrong key" "$(grep -c 'reason=wrong-proof' "$tmp/ekmotpd.log")" 2

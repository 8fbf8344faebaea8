#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# claims.sh: what a user puts into a token with --claims, and what ekmotpd makes of it.
# shellcheck source=tests/lib/test.sh
. "${srcdir:-.}/tests/lib/test.sh"
# shellcheck source=tests/lib/tls.sh
. "$top_src/tests/lib/tls.sh"
need openssl

umask 077
make_certificate "$tmp/tls"
head -c 48 /dev/urandom >"$tmp/key"
"$EKMOTPD" client add alice --directory "$tmp/clients.db" --key-file "$tmp/key" --hash SHA-384 2>"$tmp/add.log"
background "$tmp/ekmotpd.log" "$EKMOTPD" serve --listen 127.0.0.1:0 --cert "$tmp/tls/server.pem" \
    --key "$tmp/tls/server.key" --directory "$tmp/clients.db" --audience api --leeway 30
server=$background_pid
wait_for 20 grep -q '^listening on' "$tmp/ekmotpd.log"
port=$(sed -n 's/^listening on .*:\([0-9]*\)$/\1/p' "$tmp/ekmotpd.log" | head -n 1)

# request CARRIER CLAIMS: one request; the answer is in $tmp/answer.
request()
{
    printf '%s' "$2" >"$tmp/claims"
    "$EKMOTP" request --id alice --key "file:$tmp/key" --hash SHA-384 --carrier "$1" --claims "$tmp/claims" \
        --cacert "$tmp/tls/ca.pem" "https://localhost:$port/whoami" >"$tmp/answer" 2>"$tmp/request.log"
}

# refused CARRIER CLAIMS WORDS: the server refuses, its log says why, and the client is told nothing of it.
refused()
{
    local before
    before=$(grep -c 'reason=claims' "$tmp/ekmotpd.log" || :)
    exits 5 request "$1" "$2"
    lacks "$tmp/request.log" 'exp|aud|nbf'
    wait_for 5 test "$(grep -c 'reason=claims' "$tmp/ekmotpd.log" || :)" -gt "$before"
    grep 'reason=claims' "$tmp/ekmotpd.log" | tail -n 1 >"$tmp/reason"
    has "$tmp/reason" "$3"
}

now=$(date +%s)
for carrier in jws jwe; do
    request "$carrier" '{"aud":["api","other"],"scope":{"read":[1,2.5,null]},"exp":'$((now + 60))'}' ||
        die "refused: $(cat "$tmp/request.log" "$tmp/ekmotpd.log")"
    # The verified claims reach the content, as they were signed.
    has "$tmp/answer" '"scope": ?\{"read": ?\[1, ?2.5, ?null\]\}'
    has "$tmp/answer" '"sub": ?"alice"'
    has "$tmp/answer" '"n": ?1'
    request "$carrier" '{"aud":"api","exp":'$((now - 5))',"nbf":'$((now + 10))'}' ||
        die "refused within the leeway: $(cat "$tmp/ekmotpd.log")"
    refused "$carrier" '{"aud":"api","exp":'$((now - 60))'}' 'claim exp'
    refused "$carrier" '{"aud":"api","nbf":'$((now + 3600))'}' 'claim nbf'
    refused "$carrier" '{"aud":"api","iat":'$((now + 3600))'}' 'claim iat'
    refused "$carrier" '{"aud":"other"}' 'claim aud'
    refused "$carrier" '{}' 'claim aud: is missing'
    # What the client itself does not take.
    exits 2 request "$carrier" '{"aud":"api","n":7}'
    has "$tmp/request.log" 'member n'
    exits 2 request "$carrier" '{"aud":"api","sub":"bob"}'
    has "$tmp/request.log" 'member sub'
    exits 2 request "$carrier" '{"aud":"api","aud":"api"}'
    has "$tmp/request.log" 'twice'
    exits 2 request "$carrier" '["api"]'
    exits 2 request "$carrier" ''
done
stop "$server" || die "ekmotpd ended with status $?"

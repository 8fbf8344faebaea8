#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# request.sh: what works: every profile, hash and carrier, and curl's options under curl's names.
#
# shellcheck source=tests/lib/test.sh
. "${srcdir:-.}/tests/lib/test.sh"
# shellcheck source=tests/client/common.sh
. "$top_src/tests/client/common.sh"

start_server server
url=https://localhost:$port

# Profiles, hashes and carriers, in both versions of TLS.
echo '{"aud": "test", "role": ["a", "b"]}' >"$tmp/claims.json"
each()
{
    local profile=$1
    shift
    start_server "p-$profile" --profile "$profile"
    for tls in --tls12 --tls13; do
        good $tls --repeat 2 "$@" "https://localhost:$port/get"
        body okok
    done
    requests "p-$profile" 'r["accepted"]' >"$tmp/all"
    same "$profile" "$(cat "$tmp/all")" "True True True True"
}
each v1
each compat-apikey --profile compat-apikey
each compat-apikey-hmac --profile compat-apikey-hmac
each compat-jws --profile compat-jws
each compat-jwe --profile compat-jwe
each v1-jws --carrier jws --require-server-proof
each v1-jwe --carrier jwe --claims "$tmp/claims.json" --require-server-proof
for hash in 384 512; do
    for profile in v1 v1-jwe; do
        start_server "h$hash$profile" --hash "SHA-$hash" --profile "$profile"
        carrier=header
        [ "$profile" = v1 ] || carrier=jwe
        good --hash "sha$hash" --carrier "$carrier" --require-server-proof "https://localhost:$port/get"
        bad 5 'refused' --carrier "$carrier" "https://localhost:$port/get"
    done
done

# An id with odd bytes, as %XX; a short key, as a compat profile takes it.
start_server odd --id 'client one/%'
good --id 'client%20one/%25' "https://localhost:$port/get"
report 'r["id"]' 'client%20one/%25'
bad 5 refused --id 'client%20one/' "https://localhost:$port/get"
mv "$tmp/key" "$tmp/long.key"
(umask 077 && printf my_api_key >"$tmp/key")
start_server short --profile compat-apikey
good --profile compat-apikey "https://localhost:$port/get"
bad 3 '10 bytes' "$url/get"
mv "$tmp/long.key" "$tmp/key"

# Several values may be asked for, and the first of an option is not the last.
printf 'line 1\r\nline 2\n' >"$tmp/data"
echo_of()
{
    /usr/bin/python3 -c "import base64, json, sys
r = json.load(open(sys.argv[1])); b = base64.b64decode(r['body']); print($1)" "$tmp/body"
}
good "$url/echo?a=b%20c"
same "query" "$(echo_of 'r["query"]')" "{'a': 'b c'}"
same "user agent" "$(echo_of 'r["fields"]["user-agent"].split("/")[0]')" ekmotp
good -d a=1 --data b=2 "$url/echo"
same "data" "$(echo_of b)" "b'a=1&b=2'"
same "type" "$(echo_of 'r["fields"]["content-type"]')" application/x-www-form-urlencoded
good -d "@$tmp/data" "$url/echo"
same "data of a file" "$(echo_of b)" "b'line 1line 2'"
good --data-binary "@$tmp/data" -H 'Content-Type: text/plain' "$url/echo"
same "binary data" "$(echo_of b)" "b'line 1\\r\\nline 2\\n'"
same "type" "$(echo_of 'r["fields"]["content-type"]')" text/plain
"$EKMOTP" request --id client1 --key "file:$tmp/key" --cacert "$ca" -d @- "$url/echo" <"$tmp/data" >"$tmp/body"
same "data of standard input" "$(echo_of b)" "b'line 1line 2'"
head -c 3000000 /dev/zero >"$tmp/big"
good --data-binary "@$tmp/big" "$url/echo"
same "length" "$(echo_of 'len(b)')" 3000000
good -H 'X-One: 1' -H 'X-Two: 2' -H 'User-Agent: mine' -H 'X-Empty;' -H 'Accept:' "$url/echo"
same "fields" "$(echo_of 'sorted((k, v) for k, v in r["fields"].items() if k != "host")')" \
    "[('user-agent', 'mine'), ('x-empty', ''), ('x-one', '1'), ('x-two', '2')]"

mark server
good -X PUT -d x "$url/echo"
good -X DELETE "$url/get"
good -X HEAD "$url/get"
body ""
good -d x -X PATCH "$url/get"
same "methods" "$(requests server 'r["method"]')" "PUT DELETE HEAD PATCH"

# Where the answer goes.
good -o "$tmp/out" "$url/get"
body ""
same "file" "$(cat "$tmp/out")" ok
good -i "$url/echo"
has "$tmp/body" '^HTTP/1.1 200 OK'
has "$tmp/body" '^X-Test: yes'
has "$tmp/body" '^Authentication-Info: \[hidden\]'
has "$tmp/body" '^\{"fields"'
bad 7 'out/of/reach|No such file' -o "$tmp/out/of/reach" "$url/get"
rc=0
request "$url/get" 2>/dev/null >/dev/full || rc=$?
"$EKMOTP" request --id client1 --key "file:$tmp/key" --cacert "$ca" "$url/get" >/dev/full 2>"$tmp/messages" && rc=0 || rc=$?
same "a full disk" "$rc" 7
has "$tmp/messages" 'cannot be written'

# Messages: none with -s, errors with -sS; a report for programs.
good -s "$url/get"
same "messages" "$(cat "$tmp/messages")" ""
exits 1 request -s "$url/status?s=404"
same "messages" "$(cat "$tmp/messages")" ""
bad 1 'status 404' -sS "$url/status?s=404"
report 'r["exit"]' 1
report 'r["status"]' 404
report 'r["error"]' 'the server answered with status 404'
good --repeat 2 "$url/get" "$url/get"
same "lines" "$(wc -l <"$tmp/report.json")" 4
bad 2 'no/such|No such file' --report "$tmp/no/such" "$url/get"

# Rule 10: what is secret is not printed, not even with -v and -i; --show-derived is the exception.
good -v -i "$url/get"
sent=$(requests server 'r["credentials"]' | sed 's/.* p=//; s/,.*//')
[ "${#sent}" -eq 43 ] || die "the server's log holds no proof: '$sent'"
cat "$tmp/messages" "$tmp/body" "$tmp/report.json" >"$tmp/all"
has "$tmp/all" '^> Authorization: \[hidden\]'
lacks "$tmp/all" "$sent"
lacks "$tmp/all" 'p=[A-Za-z0-9_-]{43}'
good --show-derived "$url/get"
sent=$(requests server 'r["credentials"]' | sed 's/.* p=//; s/,.*//')
has "$tmp/messages" "derived value .a secret.*: $sent\$"
start_server shown --profile compat-apikey
good --show-derived --profile compat-apikey "https://localhost:$port/get"
sent=$(requests shown 'r["credentials"]')
has "$tmp/messages" "derived value .a secret.*: ${sent//+/[+]}\$"

# Other ways there.
good --connect-to "example.org:443:localhost:$port" --resolve "localhost:$port:127.0.0.1" --profile compat-apikey \
    "https://localhost:$port/get"
good --http1.1 "$url/get"
report 'r["http"]' 1.1

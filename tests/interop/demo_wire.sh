#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# demo_wire.sh: the Go demo's wire. A client in Go is accepted by ekmotpd, and ekmotp request by a server in Go,
# in every variant; what was made for another connection is not.
# shellcheck source=tests/lib/test.sh
. "${srcdir:-.}/tests/lib/test.sh"
# shellcheck source=tests/lib/tls.sh
. "$top_src/tests/lib/tls.sh"
need go openssl

GOCACHE=$tmp/go/cache GOPATH=$tmp/go/path GO111MODULE=off GOFLAGS='' GOTOOLCHAIN=local \
    go build -o "$tmp/demo_wire" "$top_src/tests/interop/demo_wire.go" >"$tmp/go.log" 2>&1 ||
    die "demo_wire.go does not build"
rm -rf "$tmp/go"
make_certificate "$tmp/tls"
umask 077
# The demo's key has 10 bytes. HMAC pads with zero bytes, so these 32 bytes are the same key.
printf 'my_api_key' >"$tmp/short.key"
{ cat "$tmp/short.key" && head -c 22 /dev/zero; } >"$tmp/padded.key"
printf 'another_key' >"$tmp/wrong.key"

profiles=compat-apikey,compat-apikey-hmac,compat-jws,compat-jwe
"$EKMOTPD" client add client_1 --directory "$tmp/clients.db" --key-file "$tmp/padded.key" --profile "$profiles"

for variant in apikey apikey-hmac jws jwe; do
    # Our server offers one profile alone, so that each variant is seen to be what it says.
    background "$tmp/ekmotpd-$variant.log" "$EKMOTPD" serve --listen 127.0.0.1:0 --cert "$tmp/tls/server.pem" \
        --key "$tmp/tls/server.key" --directory "$tmp/clients.db" --profile "compat-$variant" \
        --compat-client client_1
    server=$background_pid
    wait_for 20 grep -q '^listening on' "$tmp/ekmotpd-$variant.log"
    port=$(sed -n 's/^listening on .*:\([0-9]*\)$/\1/p' "$tmp/ekmotpd-$variant.log" | head -n 1)
    url=https://localhost:$port/get
    same "the demo's client with $variant" \
        "$("$tmp/demo_wire" client "$url" "$tmp/tls/ca.pem" client_1 "$tmp/short.key" "$variant")" '200 ok'
    same "the demo's client with $variant of another connection" \
        "$("$tmp/demo_wire" client "$url" "$tmp/tls/ca.pem" client_1 "$tmp/short.key" "$variant" spoil | cut -c1-3)" 401
    same "the demo's client with $variant under another key" \
        "$("$tmp/demo_wire" client "$url" "$tmp/tls/ca.pem" client_1 "$tmp/wrong.key" "$variant" | cut -c1-3)" 401
    for other in apikey jws jwe; do
        [ "$other" = "$variant" ] || [ "$other" = "${variant%-hmac}" ] ||
            same "the demo's client with $other, where only $variant is offered" \
                "$("$tmp/demo_wire" client "$url" "$tmp/tls/ca.pem" client_1 "$tmp/short.key" "$other" | cut -c1-3)" 401
    done
    stop "$server"

    background "$tmp/demo-$variant.log" "$tmp/demo_wire" server "$tmp/tls/server.pem" "$tmp/tls/server.key" \
        client_1 "$tmp/short.key" "$variant"
    server=$background_pid
    wait_for 20 grep -Eqx '[0-9]+' "$tmp/demo-$variant.log"
    url=https://localhost:$(head -n 1 "$tmp/demo-$variant.log")/get
    for http in --http1.1 --http2; do
        same "ekmotp request with compat-$variant, $http" \
            "$("$EKMOTP" request --id client_1 --key "file:$tmp/padded.key" --profile "compat-$variant" $http \
                --cacert "$tmp/tls/ca.pem" "$url" 2>"$tmp/request.log")" ok
    done
    has "$tmp/demo-$variant.log" '^accepted HTTP/1.1$'
    has "$tmp/demo-$variant.log" '^accepted HTTP/2.0$'
    # The key of 10 bytes as it is, which only the compat profiles take.
    same "ekmotp request with the key of 10 bytes" \
        "$("$EKMOTP" request --id client_1 --key "file:$tmp/short.key" --profile "compat-$variant" \
            --cacert "$tmp/tls/ca.pem" "$url" 2>"$tmp/request.log")" ok
    # The demo's server answers 500 to what it refuses.
    exits 1 "$EKMOTP" request --id client_1 --key "file:$tmp/wrong.key" --profile "compat-$variant" \
        --cacert "$tmp/tls/ca.pem" "$url" >"$tmp/request.log" 2>&1
    has "$tmp/demo-$variant.log" '^refused: '
    exits 3 "$EKMOTP" request --id client_1 --key "file:$tmp/short.key" --profile v1 \
        --cacert "$tmp/tls/ca.pem" "$url" >"$tmp/request.log" 2>&1
    stop "$server" || : # the demo's server does not catch SIGTERM
done

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# examples.sh: the GnuTLS client and the OpenSSL server of docs/examples talk to each other.
# shellcheck source=tests/lib/test.sh
. "${srcdir:-.}/tests/lib/test.sh"
# shellcheck source=tests/lib/tls.sh
. "$top_src/tests/lib/tls.sh"
need openssl

make_certificate "$tmp"
make_certificate "$tmp/other"
head -c 32 /dev/urandom >"$tmp/key"
head -c 32 /dev/urandom >"$tmp/other.key"
head -c 31 /dev/urandom >"$tmp/short.key"

background "$tmp/server.log" "$top_build/docs/examples/server_openssl" "$tmp/server.pem" "$tmp/server.key" \
    laptop-1 "$tmp/key"
wait_for 10 grep -Eqx '[0-9]+' "$tmp/server.log"
port=$(grep -Ex -m1 '[0-9]+' "$tmp/server.log")

# client CA ID KEY: one request; what it prints is in $tmp/client.log.
client()
{
    "$top_build/docs/examples/client_gnutls" localhost "$port" "$@" >"$tmp/client.log" 2>&1
}

for _ in 1 2 3; do
    client "$tmp/ca.pem" laptop-1 "$tmp/key"
    same "the answer" "$(cat "$tmp/client.log")" "hello, laptop-1"
done
exits 1 client "$tmp/ca.pem" laptop-1 "$tmp/other.key"
has "$tmp/client.log" '401 Unauthorized'
wait_for 5 grep -q 'server_openssl: wrong-proof' "$tmp/server.log"
exits 1 client "$tmp/ca.pem" laptop-2 "$tmp/key"
has "$tmp/client.log" '401 Unauthorized'
wait_for 5 grep -q 'server_openssl: unknown-client' "$tmp/server.log"
exits 1 client "$tmp/ca.pem" laptop-1 "$tmp/short.key"
has "$tmp/client.log" 'short.key|bytes'
exits 1 client "$tmp/other/ca.pem" laptop-1 "$tmp/key"
has "$tmp/client.log" 'TLS'

# A server that holds the right certificate, but another client key, cannot make the server proof either;
# one that says 200 to everybody is seen through.
background "$tmp/liar.log" openssl s_server -accept 127.0.0.1:0 -cert "$tmp/server.pem" -key "$tmp/server.key" -www
wait_for 10 grep -q '^ACCEPT' "$tmp/liar.log"
port=$(sed -n 's/^ACCEPT.*:\([0-9]*\)$/\1/p' "$tmp/liar.log")
exits 1 client "$tmp/ca.pem" laptop-1 "$tmp/key"
has "$tmp/client.log" 'no server proof|the server'

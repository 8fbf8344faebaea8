#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# tls.sh: TLS that the client refuses, TLS that it takes, and what it says about both.
#
# shellcheck source=tests/lib/test.sh
. "${srcdir:-.}/tests/lib/test.sh"
# shellcheck source=tests/client/common.sh
. "$top_src/tests/client/common.sh"

# The two TLS libraries have names of their own.
cipher=AES-256-GCM p256=SECP256R1 p384=SECP384R1 unknown=P-384
if grep -Fq 'S["CLIENT_OPENSSL_TRUE"]=""' "$top_build/config.status"; then
    cipher=TLS_AES_256_GCM_SHA384 p256=P-256 p384=secp384r1 unknown=P-385
fi

# Both versions are taken, and --tls12 and --tls13 mean exactly one.
start_server both
both=https://localhost:$port/get
both_port=$port
good --tls12 "$both"
report 'r["tls"]["version"]' TLS1.2
good --tls13 "$both"
report 'r["tls"]["version"]' TLS1.3
good "$both"
report 'r["tls"]["version"]' TLS1.3
good -v "$both"
has "$tmp/messages" "^\* ekmotp request: TLS1.3, cipher $cipher, group [A-Za-z0-9]+ "
bad 2 'exclude each other' --tls12 --tls13 "$both"

start_server old --tls 1.2
good "https://localhost:$port/get"
report 'r["tls"]["version"]' TLS1.2
bad 4 'TLS|handshake|version|alert' --tls13 "https://localhost:$port/get"
same "requests that were sent" "$(requests old 1)" 1

start_server new --tls 1.3
good "https://localhost:$port/get"
bad 4 'TLS|handshake|version|alert' --tls12 "https://localhost:$port/get"

# Rule 1: TLS 1.2 needs the extended master secret. GnuTLS would export all the same.
start_server plain --tls 1.2 --no-ems
bad 4 'without extended master secret .RFC 7627' "https://localhost:$port/get"
report 'r["credentials"]' False
same "requests that were sent" "$(requests plain 1)" ""
# In TLS 1.3 there is no such thing.
start_server plain13 --tls 1.3 --no-ems
good "https://localhost:$port/get"

# TLS 1.1 and older are not spoken.
start_server ancient --tls 1.1
bad 4 'TLS|handshake|version|alert' "https://localhost:$port/get"

# The certificate: another CA, another name, too old.
make_certificate "$tmp/other"
exits 4 "$EKMOTP" request --id client1 --key "file:$tmp/key" --cacert "$tmp/other/ca.pem" "$both" \
    >"$tmp/body" 2>"$tmp/messages"
has "$tmp/messages" 'certificate does not verify.*--cacert'
exits 4 "$EKMOTP" request --id client1 --key "file:$tmp/key" "$both" >"$tmp/body" 2>"$tmp/messages"
has "$tmp/messages" 'certificate does not verify.*--cacert'
exits 4 "$EKMOTP" request --id client1 --key "file:$tmp/key" --cacert "$tmp/none.pem" "$both" \
    >"$tmp/body" 2>"$tmp/messages"
has "$tmp/messages" 'none.pem|CA'
bad 4 'certificate does not verify|not match' --connect-to "example.org:443:127.0.0.1:$both_port" https://example.org/get
# Dates before today: OpenSSL 3.0 takes a negative number of days, from 3.4 on it takes dates.
late=(-not_before 20190101000000Z -not_after 20200101000000Z)
[[ $(openssl x509 -help 2>&1) == *-not_after* ]] || late=(-days -1)
openssl x509 -req -in "$tmp/cert/server.csr" -CA "$ca" -CAkey "$tmp/cert/ca.key" -CAcreateserial "${late[@]}" \
    -extfile "$tmp/cert/server.ext" -out "$tmp/cert/late.pem" 2>/dev/null || cannot "no expired certificate"
cp "$tmp/cert/server.key" "$tmp/cert/late.key"
start_server late --cert late
bad 4 'certificate does not verify|expired' "https://localhost:$port/get"
# What stands in a certificate is shown, but drives no terminal.
openssl req -new -key "$tmp/cert/server.key" -subj "/CN="$'\033[31mred\a' -out "$tmp/cert/odd.csr" 2>/dev/null
openssl x509 -req -in "$tmp/cert/odd.csr" -CA "$ca" -CAkey "$tmp/cert/ca.key" -CAcreateserial -days 2 \
    -out "$tmp/cert/odd.pem" 2>/dev/null || cannot "no certificate with an odd name"
cp "$tmp/cert/server.key" "$tmp/cert/odd.key"
start_server odd --cert odd
bad 4 '\?\[31mred\?.* does not match' "https://localhost:$port/get"
lacks "$tmp/messages" $'\033'
# There is no option to look away.
bad 2 "unrecognized option|invalid option" --insecure "$both"
bad 2 "unrecognized option|invalid option" -k "$both"

# The group: what was negotiated is shown, and only what is allowed is used.
start_server p384 --group secp384r1
good "https://localhost:$port/get"
report 'r["tls"]["group"]' "$p384"
good --groups X25519,secp384r1 "https://localhost:$port/get"
bad 4 'group|handshake|alert|TLS' --groups "X25519,$p256" "https://localhost:$port/get"
report 'r["credentials"]' False
same "requests that were sent" "$(requests p384 1)" "1 1"
bad 2 "no group '$unknown'" --groups "$unknown" "$both"

# The network: nobody there, no such host, no TLS there, an answer that does not come.
bad 4 'connect' "https://127.0.0.1:1/get"
bad 4 'resolve|timed out' --max-time 3 "https://no-such-host.invalid/get"
background "$tmp/mute.log" /usr/bin/python3 -c "
import socket
s = socket.create_server(('127.0.0.1', 0))
print('listening', s.getsockname()[1], flush=True)
kept = []
while True:
    c, _ = s.accept()
    if not kept:
        c.sendall(b'HTTP/1.1 400 Bad Request\r\n\r\n')
    kept.append(c)"
wait_for 20 grep -q listening "$tmp/mute.log"
mute=$(sed -n 's/^listening //p' "$tmp/mute.log")
bad 4 'TLS|packet|handshake|SSL' "https://localhost:$mute/get"
bad 4 'timed out|timeout' --max-time 0.5 "https://localhost:$mute/get"
bad 4 'timed out|timeout' --connect-timeout 0.5 "https://localhost:$mute/get"
bad 4 'timed out|timeout' -m 0.5 "https://localhost:$both_port/slow?t=5"
good -m 20 "https://localhost:$both_port/slow?t=0.2"

# Only https, and nobody's password.
for scheme in http ftp gopher; do
    bad 2 'only https URLs' "$scheme://localhost:$both_port/get"
done
bad 2 'only https URLs|not a URL' "localhost:$both_port/get"
bad 2 'user or password in the URL' "https://user:pw@localhost:$both_port/get"
bad 2 'not a URL' "https://local host/"
bad 2 'not a URL' "https://localhost:99999/"

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# demo.sh: the main path on real parts, for people to watch. "./dev demo" builds and calls it.
set -eu -o pipefail

usage()
{
    cat <<'END'
usage: ./dev demo [--token tpm|softhsm]

Makes a token with a key in it (a software TPM behind tpm2-pkcs11, or SoftHSM), starts ekmotpd with a fresh
certificate, and asks it for https://localhost:PORT/get twice, on two connections. Both ends show the value that
they derived: it is the same on both, another one on each connection, and sent again on a third connection
it is refused. First with profile v1, then with compat-apikey. Nothing is left behind.
END
}

build=build/plain token=tpm
while [ "$#" -gt 0 ]; do
    case $1 in
        --build) build=${2:?"--build wants a folder"} && shift ;;
        --token) token=${2:?"--token wants tpm or softhsm"} && shift ;;
        --help | -h) usage && exit 0 ;;
        *)
            echo "demo.sh: no such option: $1" >&2
            usage >&2
            exit 2
            ;;
    esac
    shift
done
case $token in
    tpm | softhsm) ;;
    *)
        echo "demo.sh: --token $token: it is tpm or softhsm" >&2
        exit 2
        ;;
esac

srcdir=$(cd "$(dirname "$0")/.." && pwd)
cd "$srcdir"
cd "$build"
# shellcheck source=tests/lib/test.sh
. "$srcdir/tests/lib/test.sh"
# shellcheck source=tests/lib/tls.sh
. "$srcdir/tests/lib/tls.sh"
# shellcheck source=tests/lib/token.sh
. "$srcdir/tests/lib/token.sh"

step()
{
    printf '\n== %s\n' "$*"
}

tell()
{
    printf '   %s\n' "$*"
}

for program in "$EKMOTP" "$EKMOTPD" "$EKMOTP_AGENT"; do
    [ -x "$program" ] || die "$program is not built"
done

step "a token: $token"
at_exit tokens_stop
umask 077
pin=$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')
printf '%s\n' "$pin" >"$tmp/pin"
# The Go demo's key has 10 bytes; HMAC pads with zero bytes, so 32 bytes with zeros behind are the same key. A key
# of your own is 32 random bytes.
printf 'my_api_key' >"$tmp/client1.key"
head -c 22 /dev/zero >>"$tmp/client1.key"
case $token in
    tpm)
        for program in swtpm tpm2-abrmd tpm2_ptool dbus-daemon; do
            command -v "$program" >/dev/null || die "$program is not installed (packages.txt names its package)"
        done
        tpm_all "$tmp/token" demo "$pin" || die "no TPM token"
        tell "swtpm and tpm2-abrmd run; the token \"demo\" has a PIN; its folder is private"
        ;;
    softhsm)
        command -v softhsm2-util >/dev/null || die "softhsm2-util is not installed (packages.txt names its package)"
        softhsm_token "$tmp/token" demo "$pin" || die "no SoftHSM token"
        tell "the token \"demo\" has a PIN; its folder is private"
        ;;
esac
uri="pkcs11:token=demo;object=client1;type=secret-key?module-path=$token_module&pin-source=file:$tmp/pin"
"$EKMOTP" key import --from "$tmp/client1.key" --agent-program "$EKMOTP_AGENT" "$uri" >"$tmp/import.log" 2>&1 ||
    die "the key is not imported"
tell "my_api_key, padded to 32 bytes, is in the token under the label client1:"
tell "$uri"

step "a server: ekmotpd, with a fresh CA and certificate"
make_certificate "$tmp/tls"
"$EKMOTPD" client add client1 --directory "$tmp/clients.db" --key-file "$tmp/client1.key" \
    --profile v1,compat-apikey 2>"$tmp/add.log" | sed 's/^/   /'
rm "$tmp/client1.key"
background "$tmp/server.log" "$EKMOTPD" serve --listen 127.0.0.1:0 --cert "$tmp/tls/server.pem" \
    --key "$tmp/tls/server.key" --directory "$tmp/clients.db" --profile v1,compat-apikey --show-derived
server=$background_pid
wait_for 20 grep -q '^listening on' "$tmp/server.log"
port=$(sed -n 's/^listening on .*:\([0-9]*\)$/\1/p' "$tmp/server.log" | head -n 1)
tell "listens on 127.0.0.1:$port"

# server_values PROFILE: the derived values that the server has shown so far.
server_values()
{
    sed -n "s/.*event=\"\\{0,1\\}derived.* profile=$1 value=\"\\{0,1\\}\\([A-Za-z0-9+\\/_=-]*\\).*/\\1/p" "$tmp/server.log"
}

# ask PROFILE N: one request on a connection of its own; sets $value, the same on both ends.
ask()
{
    local profile=$1 n=$2 seen
    "$EKMOTP" request --id client1 --key "$uri" --profile "$profile" --agent-program "$EKMOTP_AGENT" \
        --cacert "$tmp/tls/ca.pem" --show-derived -i "https://localhost:$port/get" \
        >"$tmp/answer" 2>"$tmp/client.log" || die "the request failed with status $?"
    value=$(sed -n 's/.*derived value.*: //p' "$tmp/client.log")
    [ -n "$value" ] || die "the client shows no derived value"
    same "status of the answer" "$(sed -n '1s/^HTTP[^ ]* \([0-9]*\).*/\1/p' "$tmp/answer")" 200
    # The log is written by the time the answer is there, but by another process.
    wait_for 5 test "$(server_values "$profile" | wc -l)" -ge "$n"
    seen=$(server_values "$profile" | sed -n "${n}p")
    tell "client: $value"
    tell "server: $seen"
    same "the server's derived value" "$seen" "$value"
    tell "answer: 200 $(tail -n 1 "$tmp/answer")"
}

# replay NAME: VALUE...: the fields on a new connection, by a client that knows nothing of ekmotp.
replay()
{
    {
        printf 'GET /get HTTP/1.1\r\nHost: localhost:%s\r\nConnection: close\r\n' "$port"
        printf '%s\r\n' "$@"
        printf '\r\n'
    } | openssl s_client -quiet -connect "127.0.0.1:$port" -servername localhost -CAfile "$tmp/tls/ca.pem" \
        -verify_return_error >"$tmp/replayed" 2>"$tmp/openssl.log" || :
    same "status of the replay" "$(sed -n '1s/^HTTP[^ ]* \([0-9]*\).*/\1/p' "$tmp/replayed")" 401
    tell "answer: $(sed -n '1s/^HTTP[^ ]* //p' "$tmp/replayed" | tr -d '\r')"
    wait_for 5 grep -q 'status=401' "$tmp/server.log"
    tell "the server's log: $(grep 'status=401' "$tmp/server.log" | tail -n 1 | sed 's/.*\(reason=.* why="[^"]*"\).*/\1/')"
}

for profile in v1 compat-apikey; do
    step "$profile, first connection"
    ask "$profile" 1
    first=$value
    step "$profile, second connection"
    ask "$profile" 2
    [ "$first" != "$value" ] || die "both connections derived the same value"
    tell "another connection, another value"
    step "$profile, the first value sent again on a third connection"
    if [ "$profile" = v1 ]; then
        # k is the client id in base64url; v would be right only on the first connection, whatever it was there.
        replay "Authorization: EKMOTP k=Y2xpZW50MQ, n=1, p=$first, v=AAAAAAAAAAAAAAAAAAAAAA"
    else
        replay "client: client1" "apikey: $first"
    fi
done

step "the end"
stop "$server" || die "ekmotpd ended with status $?"
tell "ekmotpd has drained and ended with status 0"
tell "the demo is complete: same value on both ends, another on each connection, no replay"

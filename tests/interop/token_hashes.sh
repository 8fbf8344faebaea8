#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# token_hashes.sh: every hash, profile and carrier with keys in a SoftHSM token, on both ends, through the tools.
# shellcheck source=tests/lib/test.sh
. "${srcdir:-.}/tests/lib/test.sh"
# shellcheck source=tests/lib/tls.sh
. "$top_src/tests/lib/tls.sh"
# shellcheck source=tests/lib/token.sh
. "$top_src/tests/lib/token.sh"
need openssl softhsm2-util p11tool

umask 077
softhsm_token "$tmp/token" hashes 1234 || cannot "no SoftHSM token"
printf '1234\n' >"$tmp/pin"
make_certificate "$tmp/tls"

# uri NAME: the key of that name.
uri()
{
    printf 'pkcs11:token=hashes;object=%s;type=secret-key?module-path=%s&pin-source=file:%s' "$1" "$token_module" \
        "$tmp/pin"
}

all=v1,compat-apikey,compat-apikey-hmac,compat-jws,compat-jwe
declare -A hash_of=([a256]=SHA-256 [a384]=SHA-384 [a512]=SHA-512) size_of=([a256]=32 [a384]=48 [a512]=64)
for id in a256 a384 a512; do
    head -c "${size_of[$id]}" /dev/urandom >"$tmp/$id.key"
    softhsm_import hashes 1234 "$id" "$tmp/$id.key" || cannot "the key $id is not imported"
    profiles=v1
    [ "$id" != a256 ] || profiles=$all
    # The server has the key as bytes, and again under another id as the token's.
    "$EKMOTPD" client add "$id" --directory "$tmp/clients.db" --key-file "$tmp/$id.key" --hash "${hash_of[$id]}" \
        --profile "$profiles"
    "$EKMOTPD" client add "$id-token" --directory "$tmp/clients.db" --token "$(uri "$id")" \
        --hash "${hash_of[$id]}" --profile "$profiles" --agent-program "$EKMOTP_AGENT" --pin-source "$tmp/pin"
done
background "$tmp/ekmotpd.log" "$EKMOTPD" serve --listen 127.0.0.1:0 --cert "$tmp/tls/server.pem" \
    --key "$tmp/tls/server.key" --directory "$tmp/clients.db" --profile "$all" --compat-client a256 \
    --agent-program "$EKMOTP_AGENT"
server=$background_pid
wait_for 20 grep -q '^listening on' "$tmp/ekmotpd.log"
port=$(sed -n 's/^listening on .*:\([0-9]*\)$/\1/p' "$tmp/ekmotpd.log" | head -n 1)

# request KEY OPTION...: three requests on one connection.
request()
{
    local key=$1
    shift
    "$EKMOTP" request --key "$key" --agent-program "$EKMOTP_AGENT" --cacert "$tmp/tls/ca.pem" --repeat 3 "$@" \
        "https://localhost:$port/get" >"$tmp/answer" 2>"$tmp/request.log"
}

accepted=0
for id in a256 a384 a512; do
    for carrier in header jws jwe; do
        for who in "$id" "$id-token"; do
            request "$(uri "$id")" --id "$who" --hash "${hash_of[$id]}" --carrier "$carrier" \
                --require-server-proof || die "$who, $carrier: status $?: $(cat "$tmp/request.log")"
            same "the answers to $who, $carrier" "$(tr -d '\n' <"$tmp/answer")" okokok
            accepted=$((accepted + 1))
        done
        # The key of another client, and the hash of another client.
        for other in a256 a384 a512; do
            [ "$other" != "$id" ] || continue
            # SoftHSM makes no HMAC with a key that is shorter than the hash: that is a key's error.
            status=5
            [ "${size_of[$other]}" -ge "${size_of[$id]}" ] || status=3
            exits "$status" request "$(uri "$other")" --id "$id" --hash "${hash_of[$id]}" --carrier "$carrier"
            exits 5 request "file:$tmp/$id.key" --id "$id" --hash "${hash_of[$other]}" --carrier "$carrier"
        done
    done
done
for profile in ${all//,/ }; do
    [ "$profile" != v1 ] || continue
    request "$(uri a256)" --id a256 --profile "$profile" ||
        die "$profile: status $?: $(cat "$tmp/request.log")"
    same "the answers to $profile" "$(tr -d '\n' <"$tmp/answer")" okokok
    accepted=$((accepted + 1))
    exits 5 request "$(uri a512)" --id a256 --profile "$profile"
    # The demo's profiles know SHA-256 alone.
    fails request "$(uri a512)" --id a512 --profile "$profile" --hash SHA-512
done
[ "$accepted" -eq 22 ] || die "$accepted combinations were tried, not 22"
stop "$server" || die "ekmotpd ended with status $?"

# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# tls.sh: certificates for tests, after test.sh.

# make_certificate FOLDER [ec|rsa|ed25519]: a fresh CA (ca.pem, ca.key) and a server certificate
# (server.pem, server.key) for localhost, 127.0.0.1 and ::1, valid for two days.
make_certificate()
{
    local dir=$1 kind=${2:-ec} newkey usage=digitalSignature
    case $kind in
        ec) newkey="-newkey ec -pkeyopt ec_paramgen_curve:P-256" ;;
        # NSS takes no RSA key of a server that may not encipher keys.
        rsa) newkey="-newkey rsa:2048" usage=digitalSignature,keyEncipherment ;;
        ed25519) newkey="-newkey ed25519" ;;
        *) cannot "make_certificate: no such kind: $kind" ;;
    esac
    mkdir -p "$dir"
    (
        umask 077
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
            -subj "/CN=ekmotp test CA" -keyout "$dir/ca.key" -out "$dir/ca.pem" \
            -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
        # shellcheck disable=SC2086 # the options are words
        openssl req $newkey -nodes -subj "/CN=localhost" -keyout "$dir/server.key" -out "$dir/server.csr"
        printf '%s\n' "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1" \
            "basicConstraints=critical,CA:FALSE" "keyUsage=critical,$usage" \
            "extendedKeyUsage=serverAuth" >"$dir/server.ext"
        openssl x509 -req -in "$dir/server.csr" -CA "$dir/ca.pem" -CAkey "$dir/ca.key" -CAcreateserial \
            -days 2 -extfile "$dir/server.ext" -out "$dir/server.pem"
    ) >"$dir/openssl.log" 2>&1 || cannot "openssl made no certificate: $(tail -n 3 "$dir/openssl.log")"
}

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# token_holder.sh KIND FOLDER: makes a token (softhsm or tpm) that lives until standard input ends. It holds two
# keys for each hash, which lie in FOLDER as well: client-256, other-256, client-384 ... Prints lines
# "env NAME=VALUE", "uri URI" (a key's name takes the place of %s), and "ready"; or "absent WHY".
set -eu -o pipefail
kind=$1 dir=$2
# shellcheck source=tests/lib/token.sh
. "$(dirname "$0")/../lib/token.sh"
trap tokens_stop EXIT

absent()
{
    echo "absent $*"
    exit 0
}

umask 077
mkdir -p "$dir"
echo 1234 >"$dir/pin"
declare -A size=([256]=32 [384]=48 [512]=64)
for bits in 256 384 512; do
    head -c "${size[$bits]}" /dev/urandom >"$dir/client-$bits"
    head -c "${size[$bits]}" /dev/urandom >"$dir/other-$bits"
done
case $kind in
    softhsm)
        for program in softhsm2-util p11tool; do
            command -v "$program" >/dev/null || absent "$program is not installed"
        done
        softhsm_token "$dir/token" matrix 1234
        for key in client-256 other-256 client-384 other-384 client-512 other-512; do
            softhsm_import matrix 1234 "$key" "$dir/$key"
        done
        printf 'env SOFTHSM2_CONF=%s\n' "$SOFTHSM2_CONF"
        ;;
    tpm)
        for program in swtpm tpm2-abrmd tpm2_ptool dbus-daemon; do
            command -v "$program" >/dev/null || absent "$program is not installed"
        done
        tpm_all "$dir/token" matrix 1234
        # tpm2-pkcs11 has no SHA-384 and SHA-512 HMAC that every TPM serves.
        for key in client-256 other-256; do
            tpm_import matrix 1234 "$key" "$dir/$key"
        done
        for name in TPM2_PKCS11_STORE TPM2_PKCS11_TCTI TPM2_PKCS11_LOG_LEVEL TSS2_LOG DBUS_SESSION_BUS_ADDRESS; do
            printf 'env %s=%s\n' "$name" "${!name}"
        done
        ;;
    *) absent "there is no token of kind $kind" ;;
esac
printf 'uri pkcs11:token=matrix;object=%%s;type=secret-key?module-path=%s&pin-source=file:%s\nready\n' \
    "$token_module" "$dir/pin"
cat >/dev/null

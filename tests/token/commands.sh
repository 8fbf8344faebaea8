#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# commands.sh: 'ekmotp token' and 'ekmotp key' on SoftHSM, and on a TPM that is fine, locked, mute, gone.
# shellcheck source=tests/lib/test.sh
. "${srcdir:-.}/tests/lib/test.sh"
need softhsm2-util openssl
# shellcheck source=tests/lib/token.sh
. "$top_src/tests/lib/token.sh"
at_exit tokens_stop

umask 077
printf '1234\n' >"$tmp/pin"
printf '9999\n' >"$tmp/wrong"
head -c 32 /dev/urandom >"$tmp/key"
printf my_api_key >"$tmp/short"
head -c 65 /dev/urandom >"$tmp/long"
: >"$tmp/empty"

# ekmotp's own commands with the agent of the build folder; output and messages in $tmp/out.
ekmotp()
{
    "$EKMOTP" "$1" "$2" --agent-program "$EKMOTP_AGENT" "${@:3}" >"$tmp/out" 2>&1 </dev/null
}

say "usage"
exits 2 ekmotp token nonsense
exits 2 ekmotp token doctor
exits 2 ekmotp key import
exits 2 ekmotp key generate 'pkcs11:token=alpha;object=k'
exits 2 ekmotp key generate --out "$tmp/x" --length 31 'pkcs11:token=alpha;object=k'
exits 2 ekmotp token list --hash md5
exits 0 "$EKMOTP" token --help
exits 0 "$EKMOTP" key --help

say "SoftHSM: list"
softhsm_token "$tmp/hsm" alpha 1234
module=$token_module
uri="pkcs11:token=alpha;object=client1?module-path=$module&pin-source=file:$tmp/pin"
exits 0 ekmotp token list "pkcs11:?module-path=$module"
has "$tmp/out" "token 'alpha'"
has "$tmp/out" 'HMAC: SHA-256, SHA-384, SHA-512'
exits 0 ekmotp token list --json "pkcs11:?module-path=$module"
has "$tmp/out" '"label": "alpha"'
exits 3 ekmotp token list 'pkcs11:?module-path=/nonexistent.so'

say "SoftHSM: import"
exits 3 ekmotp token doctor "$uri"
has "$tmp/out" '^broken +key '
has "$tmp/out" 'mend it: +ekmotp key import'
exits 3 ekmotp key import --from "$tmp/short" "$uri"
has "$tmp/out" 'has 10 bytes, 32 to 64 are needed'
exits 2 ekmotp key import --from "$tmp/long" "$uri"
exits 2 ekmotp key import --from "$tmp/empty" "$uri"
chmod 644 "$tmp/key"
exits 3 ekmotp key import --from "$tmp/key" "$uri"
has "$tmp/out" 'chmod 600'
chmod 600 "$tmp/key"
exits 2 ekmotp key import --from "$tmp/key" "pkcs11:token=alpha?module-path=$module&pin-source=$tmp/pin"
has "$tmp/out" 'add object=NAME'
exits 0 ekmotp key import --from "$tmp/key" "$uri"
has "$tmp/out" 'its MAC is right'
lacks "$tmp/out" 'padded|warning'
exits 3 ekmotp key import --from "$tmp/key" "$uri"
has "$tmp/out" 'of this name already'
exits 0 ekmotp key import --allow-short --from "$tmp/short" "${uri/client1/demo}"
has "$tmp/out" 'padded with zeros'
exits 0 ekmotp token doctor "$uri"
for step in module token login key mechanism mac attributes; do
    has "$tmp/out" "^fine +$step "
done
exits 0 ekmotp token doctor --json "$uri"
has "$tmp/out" '"verdict": "fine"'

say "SoftHSM: list, generate, remove"
exits 0 ekmotp key generate --out "$tmp/new" "${uri/client1/client2}"
same "mode of the new key's file" "$(stat -c %a:%s "$tmp/new")" 600:32
exits 3 ekmotp key generate --out "$tmp/new" "${uri/client1/client3}"
has "$tmp/out" 'exists already'
exits 3 ekmotp key generate --out "$tmp/new2" "${uri/client1/client2}"
[ ! -e "$tmp/new2" ] || die "a key that is in no token was left in a file"
exits 0 ekmotp key list "pkcs11:token=alpha?module-path=$module&pin-source=$tmp/pin"
same "keys" "$(grep -c '^key ' "$tmp/out")" 3
has "$tmp/out" "^key 'client1': .*private yes, sensitive yes, extractable no, sign yes"
has "$tmp/out" 'pkcs11:token=alpha;object=client1;type=secret-key'
exits 2 ekmotp key remove "pkcs11:token=alpha?module-path=$module&pin-source=$tmp/pin"
exits 0 ekmotp key remove "$uri"
exits 3 ekmotp key remove "$uri"
has "$tmp/out" 'has no secret key'

say "what looks unsafe is told"
"$top_build/tests/token/row" unsafe "$uri" || die "no unsafe key"
exits 0 ekmotp token doctor "${uri/client1/unsafe}"
has "$tmp/out" '^warning +attributes +the key is not private'
has "$tmp/out" '^warning +attributes +the token calls the key extractable'
has "$tmp/out" '^warning +attributes +the token hands out the bytes'

say "PINs"
exits 3 ekmotp key list "pkcs11:token=alpha?module-path=$module"
has "$tmp/out" 'PIN'
exits 3 ekmotp token doctor --pin-source "$tmp/wrong" "$uri"
has "$tmp/out" '^broken +login .*CKR_PIN_INCORRECT'
exits 2 ekmotp token doctor "pkcs11:token=alpha;object=k?module-path=$module&pin-value=1234"

command -v tpm2_ptool >/dev/null && command -v swtpm >/dev/null || exit 0
say "a TPM"
tpm_all "$tmp/tpm" beta 1234
uri="pkcs11:token=beta;object=client1?module-path=$token_module&pin-source=file:$tmp/pin"
exits 0 ekmotp key import --from "$tmp/key" "$uri"
has "$tmp/out" 'its MAC is right'
exits 3 ekmotp key import --from "$tmp/key" "$uri"
exits 0 ekmotp token doctor "$uri"
has "$tmp/out" '^fine +mac '
has "$tmp/out" '^fine +lockout +0 of 31'
tpm2_dictionarylockout --setup-parameters --max-tries=1 --recovery-time=600 --lockout-recovery-time=600
exits 3 ekmotp token doctor --pin-source "$tmp/wrong" "$uri"
exits 3 ekmotp token doctor "$uri"
has "$tmp/out" '^broken +login .*CKR_PIN_LOCKED'
has "$tmp/out" '^broken +lockout +the TPM takes no PIN now: 1 failures of 1; one is forgotten every 600 seconds'
has "$tmp/out" 'mend it: +tpm2_dictionarylockout --clear-lockout'
tpm2_dictionarylockout --clear-lockout
exits 0 ekmotp key remove "$uri"

say "a TPM that is stopped or gone costs the time that was set"
kill -STOP "$tpm_pid"
start=$SECONDS
exits 3 ekmotp token doctor --timeout 2 "$uri"
exits 3 ekmotp token list --timeout 2 "pkcs11:?module-path=$token_module"
[ $((SECONDS - start)) -le 30 ] || die "a stopped TPM held the commands up for $((SECONDS - start)) s"
kill -CONT "$tpm_pid"
tpm_manager_kill KILL
exits 3 ekmotp token doctor "$uri"
has "$tmp/out" '^broken +module .*C_Initialize'

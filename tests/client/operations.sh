#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# operations.sh: what a request costs in the token: one HMAC for each connection, none for a further
# request on it, whatever the carrier; two in compat-jwe, whose wire has two keys. Counted in the module
# (SoftHSM) and in the TPM's own command log (swtpm).
#
# shellcheck source=tests/lib/test.sh
. "${srcdir:-.}/tests/lib/test.sh"
# shellcheck source=tests/client/common.sh
. "$top_src/tests/client/common.sh"
# shellcheck source=tests/lib/token.sh
. "$top_src/tests/lib/token.sh"
need softhsm2-util p11tool

umask 077
printf '1234\n' >"$tmp/pin"
softhsm_token "$tmp/softhsm" here 1234 || cannot "no SoftHSM token"
softhsm_import here 1234 client1 "$tmp/key" || cannot "the key is not imported"
export EKMOTP_SPY_MODULE=$token_module EKMOTP_SPY_LOG=$tmp/spy
spy=$top_build/tests/client/.libs/spy.so
[ -f "$spy" ] || cannot "there is no $spy"

# with URI ARGS...: a request with the key in the token.
with()
{
    local uri=$1
    shift
    good --key "$uri" --pin-source "$tmp/pin" --agent-program "$EKMOTP_AGENT" "$@"
}

# signs ARGS...: how many C_Sign a request costs beyond those of opening the key.
signs()
{
    : >"$tmp/spy"
    with "pkcs11:token=here;object=client1?module-path=$spy" "$@"
    same "logins" "$(grep -c login "$tmp/spy")" 1
    signs=$(($(grep -c sign "$tmp/spy") - opening))
}

start_server server
url=https://localhost:$port
second_port=$port
# Opening a key makes trial MACs: a request that finds nobody costs those alone.
opening=0
: >"$tmp/spy"
bad 4 connect --key "pkcs11:token=here;object=client1?module-path=$spy" --pin-source "$tmp/pin" \
    --agent-program "$EKMOTP_AGENT" https://127.0.0.1:1/
opening=$(grep -c sign "$tmp/spy")
[ "$opening" -ge 1 ] || die "the module was not asked for a trial MAC"

for tls in --tls12 --tls13; do
    signs $tls "$url/get"
    same "C_Sign for one request" "$signs" 1
    signs $tls --repeat 50 --require-server-proof "$url/get"
    same "C_Sign for 50 requests on one connection" "$signs" 1
    signs $tls "$url/dies" "$url/get" "$url/get"
    same "C_Sign for two connections" "$signs" 2
done
start_server other
signs --repeat 5 "$url/get" "https://localhost:$port/get"
same "C_Sign for two connections in turn" "$signs" 2
start_server v1jws --profile v1-jws
signs --repeat 5 --carrier jws "https://localhost:$port/get"
same "C_Sign for a JWS carrier" "$signs" 1
start_server v1jwe --profile v1-jwe
signs --repeat 5 --carrier jwe "https://localhost:$port/get"
same "C_Sign for a JWE carrier" "$signs" 1
for profile in compat-apikey compat-apikey-hmac compat-jws compat-jwe; do
    start_server "$profile" --profile "$profile"
    signs --repeat 5 --profile "$profile" "https://localhost:$port/get"
    case $profile in
        compat-jwe) same "C_Sign for $profile" "$signs" 2 ;;
        *) same "C_Sign for $profile" "$signs" 1 ;;
    esac
done

# A redirect to another origin gets no credentials and costs none.
signs -L "$url/redirect?to=https://127.0.0.1:$second_port/status?s=200"
same "C_Sign with a redirect to another origin" "$signs" 1

for program in swtpm tpm2_ptool tpm2-abrmd dbus-daemon; do
    command -v "$program" >/dev/null || { say "the TPM part is left out: $program is not installed" && exit 0; }
done
at_exit tokens_stop
token_swtpm_options=(--log "file=$tmp/commands.log,level=20")
tpm_all "$tmp/tpm" tpm 1234 || cannot "no TPM token"
tpm_import tpm 1234 client1 "$tmp/key" || cannot "the key is not imported into the TPM"

# TPM2_HMAC (0x00000155) among the commands that the TPM got: tag, size, code.
hmacs()
{
    grep -cE '^ *80 0[12] 00 00 [0-9A-Fa-f]{2} [0-9A-Fa-f]{2} 00 00 01 55' "$tmp/commands.log" || :
}
uri="pkcs11:token=tpm;object=client1?module-path=$token_module"
before=$(hmacs)
with "$uri" "$url/get"
one=$(($(hmacs) - before))
before=$(hmacs)
with "$uri" --repeat 10 --require-server-proof "$url/get"
ten=$(($(hmacs) - before))
[ "$one" -ge 2 ] || die "the TPM's log shows $one TPM2_HMAC for a trial and a proof"
same "TPM2_HMAC for ten requests on one connection, as for one" "$ten" "$one"
before=$(hmacs)
with "$uri" --repeat 1 "$url/dies" "$url/get"
same "TPM2_HMAC for a second connection" "$(($(hmacs) - before - one))" 1

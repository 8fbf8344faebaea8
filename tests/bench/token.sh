#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# token.sh: MACs per second in this process on SoftHSM and a software TPM, beside the bare loop; TPM commands per MAC
#
# usage: token.sh BUILD-FOLDER [MILLISECONDS for each round, 300]
set -eu -o pipefail

build=$1 ms=${2:-300}
top=$(cd "$(dirname "$0")/../.." && pwd)
make -s -C "$build" tests/bench/token >/dev/null
# shellcheck source=tests/lib/token.sh
. "$top/tests/lib/token.sh"
dir=$(mktemp -d /tmp/ekmotp-bench.XXXXXX)
trap 'tokens_stop; rm -rf "$dir"' EXIT
head -c 32 /dev/urandom >"$dir/key"
(umask 077 && echo 1234 >"$dir/pin")

softhsm_token "$dir/hsm" bench 1234
softhsm_import bench 1234 k "$dir/key"
echo "SoftHSM"
"$build/tests/bench/token" "$token_module" bench k "$dir/pin" "$ms"

for program in swtpm tpm2-abrmd tpm2_ptool; do
    command -v "$program" >/dev/null || {
        echo "no TPM: $program is not installed"
        exit 0
    }
done

# commands CODE: how many TPM commands of this code (four hex digits) swtpm has seen.
commands()
{
    grep -cE "^ *80 0[12] 00 00 .. .. 00 00 ${1:0:2} ${1:2:2}" "$dir/commands" || :
}

# Read by tpm_start.
# shellcheck disable=SC2034
token_swtpm_options=(--log "file=$dir/commands,level=20")
tpm_all "$dir/tpm" bench 1234
tpm_import bench 1234 k "$dir/key"
echo "tpm2-pkcs11 on swtpm behind tpm2-abrmd"
for who in bare ours; do
    before=$(commands 0155)
    "$build/tests/bench/token" "$token_module" bench k "$dir/pin" "$ms" "$who" 100
    echo "$who: $(($(commands 0155) - before)) TPM2_HMAC commands for 100 MACs$([ $who = bare ] || echo ' and the trial')"
done
# Without the log, which costs time.
tpm_manager_kill TERM
tpm_kill TERM
token_swtpm_options=()
tpm_start "$dir/tpm"
tpm_manager_start "$dir/tpm"
"$build/tests/bench/token" "$token_module" bench k "$dir/pin" "$((ms * 3))"

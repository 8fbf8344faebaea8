#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tpm_direct.sh: the row of tpm2-pkcs11 that talks to a software TPM without a resource manager.
# shellcheck source=tests/lib/test.sh
. "${srcdir:-.}/tests/lib/test.sh"
need swtpm tpm2-abrmd tpm2_ptool tpm2_getcap dbus-daemon
# shellcheck source=tests/token/rows.sh
. "$top_src/tests/token/rows.sh"

row_files 1234
# tpm2_ptool needs the resource manager; it goes once the keys are in.
tpm_all "$tmp/tpm" row 1234
row_path='pkcs11:token=row'
row_query="module-path=$token_module"
for hash in $row_hashes; do
    tpm_import row 1234 "k-$hash" "$tmp/key-$hash" "$hash" || die "importing k-$hash"
done
tpm_import row 1234 second "$tmp/key-sha256" || die "importing second"
tpm_manager_kill TERM
tpm_use "$tpm_tcti"

row_import()
{
    :
}
row_all

say "the TPM is killed and comes back in the middle of 400 MACs"
failures=$(tpm_lockout_counter)
misfortune()
{
    case $1 in
        2 | 4)
            tpm_kill KILL
            tpm_start "$tmp/tpm" || die "the TPM does not come back"
            ;;
    esac
}
row_stream 400 misfortune
grown=$(($(tpm_lockout_counter) - failures))
say "the lockout counter grew by $grown"
[ "$grown" -le 4 ] || die "the lockout counter grew by $grown"

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tpm.sh: the row of tpm2-pkcs11 on a software TPM behind tpm2-abrmd, and what happens when either dies.
# shellcheck source=tests/lib/test.sh
. "${srcdir:-.}/tests/lib/test.sh"
need swtpm tpm2-abrmd tpm2_ptool tpm2_getcap dbus-daemon
# shellcheck source=tests/token/rows.sh
. "$top_src/tests/token/rows.sh"

row_import()
{
    tpm_import row 1234 "$1" "$2" "$3" || die "importing $1"
}

row_files 1234
tpm_all "$tmp/tpm" row 1234
row_path='pkcs11:token=row'
row_query="module-path=$token_module"

before=$(tpm_lockout_counter)
row_all
after=$(tpm_lockout_counter)
# The one wrong PIN of the refusals, and nothing else.
same "the lockout counter" "$after" "$((before + 1))"

say "exactly one HMAC command for each MAC"
tpm2_dictionarylockout -c

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tpm.sh: the row of tpm2-pkcs11 on a software TPM behind tpm2-abrmd; commands and failures are counted, and the
# TPM and its daemon are killed and stopped in the middle of a stream of MACs.
# shellcheck source=tests/lib/test.sh
. "${srcdir:-.}/tests/lib/test.sh"
need swtpm tpm2-abrmd tpm2_ptool tpm2_getcap dbus-daemon
# shellcheck source=tests/token/rows.sh
. "$top_src/tests/token/rows.sh"

row_import()
{
    tpm_import row 1234 "$1" "$2" "$3" || die "importing $1"
}

# hmac_commands: how many TPM2_HMAC commands (TPM_CC 0155) the TPM has seen.
hmac_commands()
{
    grep -cE '^ *80 0[12] 00 00 .. .. 00 00 01 55' "$tmp/commands.log" || :
}

row_files 1234
# Read by tpm_start.
# shellcheck disable=SC2034
token_swtpm_options=(--log "file=$tmp/commands.log,level=20")
tpm_all "$tmp/tpm" row 1234
row_path='pkcs11:token=row'
row_query="module-path=$token_module"

failures=$(tpm_lockout_counter)
row_all
# The one wrong PIN of the refusals, and nothing else.
same "the lockout counter" "$(tpm_lockout_counter)" "$((failures + 1))"

say "one command for each MAC, and one for the trial"
before=$(hmac_commands)
kill_nothing()
{
    :
}
row_stream 100 kill_nothing
made=$(($(hmac_commands) - before))
[[ $made -ge 101 && $made -le 104 ]] || die "$made TPM2_HMAC commands for 100 to 103 MACs and the trial"

say "a PIN that is locked"
tpm2_dictionarylockout --clear-lockout
tpm2_dictionarylockout --setup-parameters --max-tries=1 --recovery-time=600 --lockout-recovery-time=600
row_says -47 PIN_FILE="$tmp/wrong" "$(row_uri k-sha256)"
row_says "-48 token 'row': C_Login: CKR_PIN_LOCKED" X=x "$(row_uri k-sha256)"
tpm2_dictionarylockout --clear-lockout
tpm2_dictionarylockout --setup-parameters --max-tries=31 --recovery-time=600 --lockout-recovery-time=600
row_says opened X=x "$(row_uri k-sha256)"

say "tpm2-abrmd and the TPM die and come back in the middle of 1000 MACs"
failures=$(tpm_lockout_counter)
token_swtpm_options=()
misfortune()
{
    case $1 in
        1 | 3)
            tpm_manager_kill KILL
            tpm_manager_start "$tmp/tpm" || die "tpm2-abrmd does not come back"
            ;;
        2)
            tpm_manager_kill KILL
            tpm_kill KILL
            tpm_start "$tmp/tpm" || die "the TPM does not come back"
            tpm_manager_start "$tmp/tpm" || die "tpm2-abrmd does not come back"
            ;;
        4)
            # The TPM resets under a daemon that lives on: what is in flight fails, and counts.
            tpm_kill KILL
            tpm_start "$tmp/tpm" || die "the TPM does not come back"
            tpm_manager_kill KILL
            tpm_manager_start "$tmp/tpm" || die "tpm2-abrmd does not come back"
            ;;
    esac
}
row_stream 1000 misfortune
# A TPM that is killed counts one failure by itself (it was not shut down in order), twice here. What was in
# flight may count once each time.
grown=$(($(tpm_lockout_counter) - failures))
say "the lockout counter grew by $grown"
[ "$grown" -le 4 ] || die "the lockout counter grew by $grown"

say "the TPM is down at the start"
tpm_manager_kill KILL
row_says "-41 module" X=x "$(row_uri k-sha256)"

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# remote.sh: the row of p11-kit's remoting in front of SoftHSM, whose helper is killed in the middle of a stream.
# shellcheck source=tests/lib/test.sh
. "${srcdir:-.}/tests/lib/test.sh"
need softhsm2-util p11-kit pgrep
# shellcheck source=tests/token/rows.sh
. "$top_src/tests/token/rows.sh"

row_files 12345678
softhsm_token "$tmp/hsm" row 12345678
mkdir "$tmp/modules"
printf '%s\n' "remote: |p11-kit remote $token_module" >"$tmp/modules/remote.module"
export MODULES=$tmp/modules
row_path='pkcs11:token=row'
row_query="module-name=remote"
row_all

say "the helper is killed in the middle of 20000 MACs"
killed=0
cp -a "$tmp/hsm" "$tmp/copy"
misfortune()
{
    local child
    for child in $(pgrep -P "$row_pid"); do
        kill -KILL "$child" && killed=$((killed + 1))
    done
    # SoftHSM writes its token at each login, in place: a helper that is killed then takes the token with it.
    if [[ $(softhsm2-util --show-slots) != *row* ]]; then
        say "SoftHSM's files did not survive the kill: put back from a copy"
        rm -rf "$tmp/hsm"
        cp -a "$tmp/copy" "$tmp/hsm"
    fi
}
row_stream 20000 misfortune
[ "$killed" -ge 2 ] || die "the helper was killed $killed times only"

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# softhsm.sh: the row of SoftHSM.
# shellcheck source=tests/lib/test.sh
. "${srcdir:-.}/tests/lib/test.sh"
need softhsm2-util
# shellcheck source=tests/token/rows.sh
. "$top_src/tests/token/rows.sh"

row_files 12345678
softhsm_token "$tmp/hsm" row 12345678
row_path='pkcs11:token=row'
row_query="module-path=$token_module"
row_all

say "two tokens of one name: no PIN is sent"
softhsm_token "$tmp/hsm" row 87654321
row_says -43 X=x "$(row_uri k-sha256)"

say "the store is missing at the start"
export SOFTHSM2_CONF=$tmp/none.conf
row_says -41 X=x "$(row_uri k-sha256)"

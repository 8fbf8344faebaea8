#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# nss.sh: the row of NSS softokn, which starts only with x-init-reserved from p11-kit's configuration.
# shellcheck source=tests/lib/test.sh
. "${srcdir:-.}/tests/lib/test.sh"
need certutil
# shellcheck source=tests/token/rows.sh
. "$top_src/tests/token/rows.sh"

module=$(token_find libsoftokn3.so) || skip "libsoftokn3.so is not installed"
row_files nss-PIN-12
mkdir "$tmp/nss" "$tmp/modules"
certutil -N -d "sql:$tmp/nss" -f "$tmp/pin" || cannot "certutil makes no database"
printf '%s\n' "module: $module" \
    "x-init-reserved: configdir='sql:$tmp/nss' certPrefix='' keyPrefix='' secmod='secmod.db' flags=" \
    >"$tmp/modules/nss.module"
export MODULES=$tmp/modules
# After a C_Logout softokn 3.87 uses the freed key in C_SignInit and crashes more often than not: what the agent's
# worker is for.
export NO_LOGOUT=1
row_path='pkcs11:token=NSS%20Certificate%20DB'
row_query="module-name=nss"
row_all

say "the database is missing at the start"
sed -i "s#sql:$tmp/nss#sql:$tmp/none#" "$tmp/modules/nss.module"
row_says -41 X=x "$(row_uri k-sha256)"

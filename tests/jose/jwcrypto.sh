#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# jwcrypto.sh: the tokens of libekmotp-jose and those of jwcrypto, a JOSE library that shares no code with it.
# shellcheck source=tests/lib/test.sh
. "${srcdir:-.}/tests/lib/test.sh"

python=/usr/bin/python3
"$python" -c 'import jwcrypto' 2>/dev/null || skip "python3-jwcrypto is not installed"
"$python" -B "$top_src/tests/jose/oracle.py" "$top_build/tests/jose/oracle"

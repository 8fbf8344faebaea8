#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# vectors.sh: docs/vectors is what the reference program writes, OpenSSL's own KDFs agree with it, and so
# do the libraries; a vector with one bit changed is noticed.
# shellcheck source=tests/lib/test.sh
. "${srcdir:-.}/tests/lib/test.sh"

python=/usr/bin/python3
vectors=$top_src/docs/vectors
scripts=$top_src/tests/interop/python

"$top_build/tests/interop/vectors" "$vectors"

# Each kind of value, changed: the checker must see it.
for change in 's/("channel_secret": ")[^0]/\10/' 's/("authentication_info": "p=)[^A]/\1A/' \
    's/(n=1, p=)[^A]/\1A/' 's/("jwe_key": ")[^0]/\10/' 's/("reason": ")replay/\1too-old/' 's/EsaU/FsaU/'; do
    mkdir "$tmp/changed"
    for file in v1 compat refused; do
        sed -E "$change" "$vectors/$file.json" >"$tmp/changed/$file.json"
    done
    fails cmp -s <(cat "$vectors"/{v1,compat,refused}.json) <(cat "$tmp/changed"/{v1,compat,refused}.json)
    fails "$top_build/tests/interop/vectors" "$tmp/changed" 2>"$tmp/changed.out"
    has "$tmp/changed.out" '^FAILED'
    rm -r "$tmp/changed"
done

"$python" -c 'import cryptography' 2>/dev/null || skip "python3-cryptography is not installed; the libraries agree"
mkdir "$tmp/again"
PYTHONDONTWRITEBYTECODE=1 "$python" "$scripts/make_vectors.py" "$tmp/again"
for file in v1 compat refused; do
    cmp "$tmp/again/$file.json" "$vectors/$file.json" || die "docs/vectors/$file.json is not what make_vectors.py writes"
done
"$python" "$scripts/kbkdf.py" "$vectors"

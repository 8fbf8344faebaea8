#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# bench.sh: the server's benchmark still runs, and one connection costs one exporter call and one
# channel secret. Figures of a busy machine judge nothing here.
#
# shellcheck source=tests/lib/test.sh
. "${srcdir:-.}/tests/lib/test.sh"

need openssl
if grep -q '^SANITIZE_CFLAGS = -fsanitize' "$top_build/Makefile"; then
    skip "the calls are counted by a preloaded library, which a sanitizer does not let in"
fi
EKMOTP_BENCH_QUICK=1 "$top_src/tests/bench/server.py" | tee "$tmp/out"
has "$tmp/out" 'one exporter call and one channel secret per connection: yes'

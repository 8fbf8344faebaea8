#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# server.sh: verification on ekmotpd beside none, mutual TLS, ES256 per request, nginx
#
# usage: server.sh BUILD-FOLDER; EKMOTP_BENCH_ROUNDS and EKMOTP_BENCH_SECONDS as in server.py
set -eu -o pipefail

top=$(cd "$(dirname "$0")/../.." && pwd)
cd "$1"
make -s tests/bench/load tests/bench/server_variant tests/bench/count_calls.la server/ekmotpd >/dev/null
exec "$top/tests/bench/server.py"

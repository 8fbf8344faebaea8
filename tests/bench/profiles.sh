#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# profiles.sh: microseconds per request, client and server, for each profile, hash and carrier
#
# usage: profiles.sh BUILD-FOLDER [MILLISECONDS for each cell, 500]
set -eu -o pipefail

build=$1
make -s -C "$build" tests/bench/profiles >/dev/null
EKMOTP_BENCH_MS=${2:-500} exec "$build/tests/bench/profiles"

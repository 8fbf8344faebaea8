#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# directory.sh: 1,000,000 clients against 1,000: time to start, memory, lookups
#
# usage: directory.sh BUILD-FOLDER [CLIENTS, 1000000]
set -eu -o pipefail

build=$1
make -s -C "$build" tests/bench/directory >/dev/null
EKMOTP_BENCH_CLIENTS=${2:-1000000} exec "$build/tests/bench/directory"

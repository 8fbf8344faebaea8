#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# uniform.sh: how long the verifier takes to refuse, for each kind of refusal (rule 7)
#
# usage: uniform.sh BUILD-FOLDER [REFUSALS of each kind, 20000]
set -eu -o pipefail

build=$1
make -s -C "$build" tests/bench/uniform >/dev/null
exec "$build/tests/bench/uniform" "${2:-20000}"

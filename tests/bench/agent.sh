#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# agent.sh: MACs per second through the agent on SoftHSM, beside the bare loop
#
# usage: agent.sh BUILD-FOLDER [MILLISECONDS for each row, 2000]
set -eu -o pipefail

build=$1
top=$(cd "$(dirname "$0")/../.." && pwd)
make -s -C "$build" p11/agent/ekmotp-agent tests/bench/agent >/dev/null
# shellcheck source=tests/lib/token.sh
. "$top/tests/lib/token.sh"
dir=$(mktemp -d /tmp/ekmotp-bench.XXXXXX)
agent=
trap '[ -z "$agent" ] || kill "$agent"; rm -rf "$dir"' EXIT
softhsm_token "$dir/hsm" bench 1234
head -c 32 /dev/urandom >"$dir/key"
softhsm_import bench 1234 k "$dir/key"
(umask 077 && echo 1234 >"$dir/pin")
"$build/p11/agent/ekmotp-agent" --socket "$dir/run/agent" &
agent=$!
until [ -S "$dir/run/agent" ]; do sleep 0.05; done
"$build/tests/bench/agent" "$dir/run/agent" "$token_module" bench k "$dir/pin" "${2:-2000}"
for pid in $agent $(pgrep -P "$agent"); do
    echo "$(tr '\0' ' ' <"/proc/$pid/cmdline" | cut -c1-60)" \
        "$(sed -n 's/^VmRSS:[[:space:]]*/resident /p' "/proc/$pid/status")" \
        "$(sed -n 's/^Pss:[[:space:]]*/, its share /p' "/proc/$pid/smaps_rollup")"
done

# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# lib.sh: what the agent's shell tests share, after test.sh.

driver=$top_build/tests/agent/driver
fake_agent=$top_build/tests/agent/fake-agent
uri='pkcs11:token=fake;object=k'
export EKMOTP_FAKE=$tmp/fake

# fake_token PIN: the token that tests/agent/fake_p11.c shows; an empty PIN means no login.
fake_token()
{
    mkdir -p "$EKMOTP_FAKE"
    printf 0123456789abcdef0123456789abcdef >"$EKMOTP_FAKE/key"
    printf '%s' "$1" >"$EKMOTP_FAKE/pin"
    : >"$EKMOTP_FAKE/logins"
    : >"$EKMOTP_FAKE/opens"
}

logins()
{
    wc -l <"$EKMOTP_FAKE/logins"
}

# mac_of KEYFILE HEX [HASH]: by OpenSSL, without any of our code.
mac_of()
{
    printf "$(sed 's/../\\x&/g' <<<"$2")" |
        openssl dgst -"${3:-sha256}" -mac HMAC -macopt "hexkey:$(od -An -v -tx1 "$1" | tr -d ' \n')" -r | cut -d' ' -f1
}

# in_status NAME JSON: the first number or word under a name in the agent's status.
in_status()
{
    grep -oE "\"$1\":\"?[^,\"}]*" "$2" | head -n 1 | sed -E "s/^\"$1\":\"?//"
}

# worker_of STATUSFILE, front_of STATUSFILE: process ids.
worker_of()
{
    grep -oE '"workers":\[\{"module":"[^"]*","pid":[0-9]+' "$1" | grep -oE '[0-9]+$'
}

front_of()
{
    in_status pid "$1"
}

parent_of()
{
    sed -n 's/^PPid:[[:space:]]*//p' "/proc/$1/status"
}

# start_shared OPTION...: a shared agent of the fake token at $sock; its supervisor is $background_pid.
sock=$tmp/run/agent
start_shared()
{
    background "$tmp/agent.log" "${agent_program:-$fake_agent}" --socket "$sock" "$@"
    wait_for 10 "$driver" "$sock" status
}

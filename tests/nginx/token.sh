#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The nginx module and a client's key in a token of the server: made outside the event loop; 503 while it is away.
. "${srcdir:-.}/tests/lib/test.sh"
. "$top_src/tests/lib/tls.sh"
. "$top_src/tests/lib/token.sh"
. "$top_src/tests/nginx/nginx.sh"
need curl softhsm2-util p11tool
at_exit tokens_stop

make_certificate "$tmp"
directory=$tmp/clients.db
head -c 32 /dev/urandom >"$tmp/client1.key"
chmod 600 "$tmp/client1.key"
printf not-in-logs >"$tmp/pin"
chmod 600 "$tmp/pin"
softhsm_token "$tmp/hsm" server not-in-logs
softhsm_import server not-in-logs client1 "$tmp/client1.key"
uri="pkcs11:token=server;object=client1;type=secret-key?module-path=$token_module&pin-source=file:$tmp/pin"
enrol "$directory" client1 --token "$uri" --agent-program "$EKMOTP_AGENT"
enrol "$directory" soft --generate --out "$tmp/soft.key"
nginx_workers=1
nginx_conf "
    ekmotp_agent_program $EKMOTP_AGENT;
    ekmotp_directory $directory;
    ekmotp on;
    server { listen $nginx_address:$nginx_port ssl http2; server_name localhost; location / { return 200 'x'; } }
"
nginx_start

# agents: the agents that were started for this test's token, by their environment
agents()
{
    local pid
    for pid in $(pgrep -x ekmotp-agent || :); do
        if grep -qsF "$tmp/" "/proc/$pid/environ"; then
            echo "$pid"
        fi
    done
}
no_agents()
{
    [ -z "$(agents)" ]
}

say "no agent before a key in a token is needed, none in the master"
as soft "$tmp/soft.key" / >/dev/null
no_agents || die "an agent runs before it is needed"
request / --require-server-proof --repeat 3
first=$(agents)
[ -n "$first" ] || skip "only root sees the environment of an agent"
request / --require-server-proof --tls12
same "agents" "$(agents)" "$first"
exits 5 as client1 "$tmp/soft.key" / -s -o /dev/null

say "clients leave while the token does not answer"
# shellcheck disable=SC2046 # one word for each process
kill -STOP $(agents)
leaving=()
for how in --http1.1 --http2 "--http2 --parallel 8 --repeat 8" "--http1.1 --parallel 4 --repeat 4"; do
    # shellcheck disable=SC2086 # the options are words
    as client1 "$tmp/client1.key" / --max-time 1 $how >/dev/null 2>"$tmp/leaving.log" &
    leaving+=("$!")
done
for pid in "${leaving[@]}"; do
    exits 4 wait "$pid"
done
as soft "$tmp/soft.key" / >/dev/null
# shellcheck disable=SC2046
kill -CONT $(agents)
wait_for 60 request / --require-server-proof --parallel 8 --repeat 16
lacks "$tmp/error.log" 'exited on signal|Sanitizer|runtime error'

say "the agent dies and does not come back: 503, the others go on"
mv "$tmp/hsm" "$tmp/away"
# shellcheck disable=SC2046 # one word for each process
kill -KILL $(agents)
for _ in 1 2 3; do
    same "with the token away" "$(rc=0; request / -i || rc=$?; echo "$rc")" 1
    has "$tmp/out" '^HTTP/[0-9.]+ 503'
    has "$tmp/out" '^[Rr]etry-[Aa]fter: [0-9]+'
    as soft "$tmp/soft.key" / >/dev/null
done
has "$tmp/error.log" 'reason=key-unavailable client="client1"'

say "the token is back"
mv "$tmp/away" "$tmp/hsm"
wait_for 60 request /
lacks "$tmp/error.log" 'exited on signal'
lacks "$tmp/error.log" not-in-logs
stop "$nginx_pid"
wait_for 10 no_agents

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The binary of nginx is replaced under load (USR2, WINCH, QUIT), taken back once: old and new share the listening
# sockets, no request is lost, and the workers of the new one watch the directory.
. "${srcdir:-.}/tests/lib/test.sh"
. "$top_src/tests/lib/tls.sh"
. "$top_src/tests/nginx/nginx.sh"
need jq

make_certificate "$tmp"
directory=$tmp/clients.db
enrol "$directory" client1 --generate --out "$tmp/client1.key"
enrol "$directory" other --generate --out "$tmp/other.key"
nginx_conf "
    log_format worker '\$pid \$status \$ekmotp_client';
    access_log $tmp/worker.log worker;
    ekmotp_directory $directory;
    ekmotp on;
    server { listen $nginx_address:$nginx_port ssl http2; server_name localhost; location / { return 200 'ok'; } }
"
# It replaces itself as a daemon only, and by the path that it was started with.
cp "$(command -v nginx)" "$tmp/nginx"
env "${nginx_environment[@]}" "$tmp/nginx" -p "$tmp/" -c "$tmp/nginx.conf" -e "$tmp/error.log"
end_nginx()
{
    local pids
    mapfile -t pids < <(cat "$tmp"/nginx.pid* 2>/dev/null)
    [ "${#pids[@]}" -eq 0 ] || kill -TERM "${pids[@]}"
}
at_exit end_nginx
has_pid()
{
    local pid
    pid=$(cat "$tmp/nginx.pid") && [ -n "$pid" ] && [ "$pid" != "${1-}" ]
}
wait_for 20 has_pid
old=$(cat "$tmp/nginx.pid")

loads=()
for how in "--connections 8" "--new --threads 2"; do
    # shellcheck disable=SC2086 # the options are words
    background "$tmp/load.${#loads[@]}.json" "$top_build/tests/bench/load" --address "$nginx_address" \
        --port "$nginx_port" --id client1 --key "$tmp/client1.key" --seconds 600 $how
    loads+=("$background_pid")
done

# workers MASTER: without a new master, which is the old one's child too
workers()
{
    pgrep -P "$1" -f '^nginx: worker process' || :
}
no_workers()
{
    [ -z "$(workers "$1")" ]
}
# serves MASTER: requests have been answered by each worker of it since the last mark
mark()
{
    marked=$(wc -l <"$tmp/worker.log")
}
serves()
{
    local pid=
    for pid in $(workers "$1"); do
        tail -n "+$marked" "$tmp/worker.log" | grep "^$pid 200 client1$" >/dev/null || return 1
    done
    [ -n "$pid" ]
}

say "the new binary beside the old one"
mark
wait_for 30 serves "$old"
cp "$(command -v nginx)" "$tmp/nginx.new"
mv "$tmp/nginx.new" "$tmp/nginx"
kill -USR2 "$old"
wait_for 20 has_pid "$old"
new=$(cat "$tmp/nginx.pid")
has <(readlink "/proc/$old/exe" "/proc/$new/exe") "deleted"
mark
wait_for 30 serves "$old"
wait_for 30 serves "$new"

say "back to the old one"
kill -QUIT "$new"
wait_for 30 gone "$new"
mark
wait_for 30 serves "$old"

say "the new one alone"
kill -USR2 "$old"
wait_for 20 has_pid "$old"
new=$(cat "$tmp/nginx.pid")
kill -WINCH "$old"
wait_for 30 no_workers "$old"
kill -QUIT "$old"
wait_for 30 gone "$old"
mark
wait_for 30 serves "$new"

say "its workers see a change of the directory"
as other "$tmp/other.key" / >/dev/null
"$EKMOTPD" client disable other --directory "$directory" >>"$tmp/enrol.log" 2>&1
for pid in $(workers "$new"); do
    wait_for 5 eval "[ \$(grep -c '$pid#.*ekmotp_directory .* read' '$tmp/error.log') -ge 2 ]"
done
exits 5 as other "$tmp/other.key" / -s -o /dev/null

for i in 0 1; do
    stop "${loads[$i]}" || die "requests were lost: $(cat "$tmp/load.$i.json")"
    say "$(cat "$tmp/load.$i.json")"
    same "refused, failed" "$(jq -r '"\(.refused) \(.failed)"' "$tmp/load.$i.json")" "0 0"
done
lacks "$tmp/error.log" '\[(emerg|alert|crit)\]|exited on signal|Sanitizer|runtime error'
kill -QUIT "$new"
wait_for 20 gone "$new"

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The nginx module under load for long: reloads and changes of the directory all the time, and neither a request that
# fails nor memory that grows. A worker that is told to leave closes its kept connections between two requests; what is
# on its way then is sent again, as HTTP clients do (load.c). EKMOTP_SOAK_SECONDS (10) and EKMOTP_SOAK_RELOAD (1), the
# seconds between two reloads; "make soak" takes ten minutes.
. "${srcdir:-.}/tests/lib/test.sh"
. "$top_src/tests/lib/tls.sh"
# Memory that AddressSanitizer keeps back after it was freed looks like growth until there is so much of it.
nginx_asan_options=quarantine_size_mb=4
. "$top_src/tests/nginx/nginx.sh"
need jq

seconds=${EKMOTP_SOAK_SECONDS:-10} pause=${EKMOTP_SOAK_RELOAD:-1}
make_certificate "$tmp"
directory=$tmp/clients.db
enrol "$directory" client1 --generate --out "$tmp/client1.key"
enrol "$directory" other --generate --out "$tmp/other.key"
echo ok >"$tmp/get"
nginx_conf "
    access_log off; keepalive_requests 100000;
    ekmotp_directory $directory;
    ekmotp on;
    server { listen $nginx_address:$nginx_port ssl http2; server_name localhost; root $tmp; location / { } }
"
nginx_start

# load NAME OPTION...: the generator, in the background; its figures are in $tmp/NAME.json.
load()
{
    local name=$1
    shift
    background "$tmp/$name.json" "$top_build/tests/bench/load" --address "$nginx_address" --port "$nginx_port" \
        --id client1 --key "$tmp/client1.key" --seconds "$seconds" "$@"
    loads+=("$background_pid")
}

# anonymous PID: KiB of memory of its own; nothing once the process is gone
anonymous()
{
    sed -n 's/^RssAnon:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$1/status" 2>/dev/null || :
}

# sample: a line "MASTER WORKER" in $tmp/memory: KiB of the master, and of its largest worker
sample()
{
    local pid
    echo "$(anonymous "$nginx_pid") $(for pid in $(pgrep -P "$nginx_pid"); do anonymous "$pid"; done | sort -n | tail -n 1)" \
        >>"$tmp/memory"
}

new_workers()
{
    local old=$1 now
    now=$(pgrep -P "$nginx_pid" | sort)
    [ "$(comm -13 <(echo "$old") <(echo "$now") | wc -l)" -ge 2 ]
}

loads=()
load kept --connections 16
load new --new --threads 2
reloads=0 flag=disable
SECONDS=0
while [ "$SECONDS" -lt "$((seconds - pause))" ]; do
    sleep "$pause"
    sample
    "$EKMOTPD" client "$flag" other --directory "$directory" >>"$tmp/enrol.log" 2>&1
    [ "$flag" = enable ] && flag=disable || flag=enable
    workers=$(pgrep -P "$nginx_pid" | sort)
    kill -HUP "$nginx_pid"
    wait_for 30 new_workers "$workers"
    reloads=$((reloads + 1))
done
for pid in "${loads[@]}"; do
    wait_for 30 gone "$pid"
    stop "$pid" || :
done
stop "$nginx_pid"

say "$reloads reloads in $seconds s"
for name in kept new; do
    say "$name connections: $(cat "$tmp/$name.json")"
    same "$name: refused, failed" "$(jq -r '"\(.refused) \(.failed)"' "$tmp/$name.json")" "0 0"
    [ "$(jq .answered "$tmp/$name.json")" -gt 100 ] || die "too few requests to say anything"
done
# What grows is seen between the end of the first third, when all has been done once, and the end.
room=512
[ -z "$asan" ] || room=4096
awk -v room="$room" -v third=$((($(wc -l <"$tmp/memory") + 2) / 3)) '
    NR == third { master = $1; worker = $2 }
    NR > third { end_master = $1; end_worker = $2 }
    END {
        printf "KiB, after a third and at the end: master %d %d, largest worker %d %d\n", master, end_master, worker, end_worker
        exit end_master > master + room || end_worker > worker + room
    }' "$tmp/memory" >&2 || die "memory grows: $(tr '\n' ';' <"$tmp/memory")"
lacks "$tmp/error.log" '\[(emerg|alert|crit)\]|exited on signal|Sanitizer|runtime error'

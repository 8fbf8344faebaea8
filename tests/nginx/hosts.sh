#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Three nginx hosts, in network namespaces, behind a TCP balancer that speaks the PROXY protocol: one is killed and
# one reloaded under load, and no request of the others fails.
. "${srcdir:-.}/tests/lib/test.sh"
. "$top_src/tests/lib/tls.sh"
. "$top_src/tests/nginx/nginx.sh"
need haproxy ip nsenter curl
[ "$(id -u)" -eq 0 ] || skip "network namespaces need root"

prefix=10.$((RANDOM % 200 + 30)).$((RANDOM % 250))
hosts=()
remove_hosts()
{
    local host
    for host in "${hosts[@]}"; do
        ip netns del "$host" 2>/dev/null || :
    done
}
at_exit remove_hosts

# inside HOST COMMAND...: in its network ("ip -n" and "ip netns exec" remount the file systems as well, which a
# changed root does not allow).
inside()
{
    local host=$1
    shift
    nsenter --net="/run/netns/$host" "$@"
}

make_certificate "$tmp"
head -c 32 /dev/urandom >"$tmp/master.key"
chmod 600 "$tmp/master.key"
enrol "$tmp/clients.db" wrapped --master "$tmp/master.key" --generate --out "$tmp/wrapped.key"
enrol "$tmp/clients.db" derived --master "$tmp/master.key" --derive --out "$tmp/derived.key"

say "three hosts, each with a copy of the directory and its keys"
for i in 1 2 3; do
    host=ek$$-$i
    ip netns add "$host" 2>"$tmp/ip.log" || skip "no network namespaces here: $(cat "$tmp/ip.log")"
    hosts+=("$host")
    ip link add "ek$$v$i" type veth peer name eth0 netns "$host"
    ip addr add "$prefix.$((i * 4 + 1))/30" dev "ek$$v$i"
    ip link set "ek$$v$i" up
    inside "$host" ip addr add "$prefix.$((i * 4 + 2))/30" dev eth0
    inside "$host" ip link set eth0 up
    inside "$host" ip link set lo up
    nginx_dir=$tmp/host$i
    mkdir "$nginx_dir"
    cp -p "$tmp/clients.db" "$tmp/clients.db.kek" "$tmp/master.key" "$nginx_dir/"
    nginx_conf "
        ekmotp_directory $nginx_dir/clients.db master=$nginx_dir/master.key;
        ekmotp on;
        access_log $nginx_dir/ekmotp.log ekmotp;
        server { listen $prefix.$((i * 4 + 2)):$nginx_port ssl http2 proxy_protocol; server_name localhost;
            set_real_ip_from $prefix.0/24; real_ip_header proxy_protocol;
            location / { return 200 'host$i \$ekmotp_client \$remote_addr'; } }
    "
    nginx_address=$prefix.$((i * 4 + 2)) nginx_start nsenter --net="/run/netns/$host"
    pids[i]=$nginx_pid
done

cat >"$tmp/haproxy.cfg" <<EOF
defaults
    mode tcp
    timeout connect 1s
    timeout client 30s
    timeout server 30s
    retries 5
    option redispatch 1
listen balancer
    bind $nginx_address:$nginx_port
    balance roundrobin
$(for i in 1 2 3; do
    echo "    server host$i $prefix.$((i * 4 + 2)):$nginx_port send-proxy-v2 check check-send-proxy inter 200ms fall 1 rise 1"
done)
EOF
background "$tmp/haproxy.log" haproxy -f "$tmp/haproxy.cfg" -db
wait_for 20 bash -c "exec 3<>/dev/tcp/$nginx_address/$nginx_port"

say "each host verifies both clients"
for i in 1 2 3 4 5 6; do
    id=$([ $((i % 2)) -eq 0 ] && echo wrapped || echo derived)
    as "$id" "$tmp/$id.key" / --require-server-proof >>"$tmp/served"
    echo >>"$tmp/served"
done
for i in 1 2 3; do
    has "$tmp/served" "^host$i (wrapped|derived) 127\."
done
exits 5 as derived "$tmp/wrapped.key" / -s -o /dev/null

# load NUMBER: requests, five to a connection, until $tmp/stop exists; a line each in $tmp/load.NUMBER. By HTTP/1.1:
# libcurl before 8 fails HTTP/2 requests that meet the end of the session, as a reload brings it.
load()
{
    local id rc
    while [ ! -e "$tmp/stop" ]; do
        id=$([ $((RANDOM % 2)) -eq 0 ] && echo wrapped || echo derived)
        rc=0
        as "$id" "$tmp/$id.key" / --http1.1 --repeat 5 --require-server-proof >/dev/null \
            2>>"$tmp/load-errors.log" || rc=$?
        echo "$rc" >>"$tmp/load.$1"
    done
}
done_at_least()
{
    [ "$(cat "$tmp"/load.? | wc -l)" -ge "$1" ]
}
failures()
{
    cat "$tmp"/load.? | grep -cv '^0$' || :
}

for n in 1 2 3; do
    : >"$tmp/load.$n"
    load "$n" &
    test_pids+=("$!")
done
wait_for 60 done_at_least 30
same "failures before" "$(failures)" 0

say "host 2 is reloaded, five times"
for _ in 1 2 3 4 5; do
    kill -HUP "${pids[2]}"
    wait_for 60 done_at_least $(($(cat "$tmp"/load.? | wc -l) + 15))
done
same "failures by reloads" "$(failures)" 0

say "host 1 is killed"
kill -KILL "${pids[1]}" $(pgrep -P "${pids[1]}")
wait_for 60 done_at_least $(($(cat "$tmp"/load.? | wc -l) + 15))
killed=$(failures)
# What host 1 was answering at that moment is lost: at most what each of the three loads had under way.
[ "$killed" -le 3 ] || die "$killed requests failed by the death of one host"
wait_for 60 done_at_least $(($(cat "$tmp"/load.? | wc -l) + 60))
same "failures of the other hosts" "$(failures)" "$killed"
touch "$tmp/stop"
say "$(cat "$tmp"/load.? | wc -l) times five requests, $killed cut off with their host, no other failed"

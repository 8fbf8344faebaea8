#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# reuse.sh: every connection gets a channel secret of its own, every request on it the next n: on a
# connection that is used again, on the new one after a dead one, on two side by side.
#
# shellcheck source=tests/lib/test.sh
. "${srcdir:-.}/tests/lib/test.sh"
# shellcheck source=tests/client/common.sh
. "$top_src/tests/client/common.sh"

# n NAME: connection:n of each request, and whether it was accepted.
n()
{
    requests "$1" 'str(r["connection"]) + ":" + (r["credentials"] or "n=-,").split("n=")[1].split(",")[0]
        + ("" if r["accepted"] else "!")'
}

for tls in --tls12 --tls13; do
    start_server "server$tls"
    url=https://localhost:$port
    name=server$tls

    good $tls --require-server-proof --repeat 3 "$url/get" "$url/other"
    body okokokokokok
    same "six requests" "$(n "$name")" "1:1 1:2 1:3 1:4 1:5 1:6"
    report 'r["new_connections"]' 0
    report 'r["n"]' 6

    # The server closes a kept connection on the next request: libcurl sends it again on a new one, and
    # asks for credentials again.
    mark "$name"
    good $tls --require-server-proof "$url/dies" "$url/get" "$url/get"
    body okokok
    same "a dead connection" "$(n "$name")" "2:1 3:1 3:2"

    # A server that closes after its answer makes a new connection each time. Sessions are not resumed: no
    # ticket can lead to early data.
    mark "$name"
    good $tls --require-server-proof --repeat 3 "$url/closes"
    body okokok
    same "closed connections" "$(n "$name")" "4:1 5:1 6:1"
    same "resumed" "$(requests "$name" 'r["resumed"]')" "False False False"

    # Two servers in turn: two connections, each with a counter of its own and no second start.
    mark "$name"
    start_server "second$tls"
    second=https://localhost:$port
    good $tls --require-server-proof --repeat 3 "$url/get" "$second/get"
    body okokokokokok
    same "the first" "$(n "$name")" "7:1 7:2 7:3"
    same "the second" "$(n "second$tls")" "1:1 1:2 1:3"
    # And with one that dies among them.
    mark "$name"
    mark "second$tls"
    good $tls --require-server-proof --repeat 2 "$url/dies" "$second/get" "$url/get"
    same "the first" "$(n "$name")" "8:1 9:1 9:2 10:1"
    same "the second" "$(n "second$tls")" "2:1 2:2"
done

# A server that offers early data with each ticket gets none.
start_server early --tls 1.3 --early-data
good --require-server-proof --repeat 3 "https://localhost:$port/closes"
same "early data" "$(requests early 'r["early"]')" "0 0 0"
same "requests" "$(n early)" "1:1 2:1 3:1"

# More servers than libcurl keeps connections to: the oldest is closed, and starts afresh when it is back.
urls=()
names=()
for i in 1 2 3 4 5 6 7 8 9 10; do
    start_server "many$i"
    urls+=("https://localhost:$port/get")
    names+=("many$i")
done
good --require-server-proof --repeat 2 "${urls[@]}"
for name in "${names[@]}"; do
    requests "$name" 'r["accepted"]' >"$tmp/all"
    lacks "$tmp/all" False
done

# What was sent once is worth nothing on the next connection.
start_server last
good --show-derived "https://localhost:$port/get"
first=$(sed -n 's/.*--show-derived): //p' "$tmp/messages")
good --show-derived "https://localhost:$port/get"
second=$(sed -n 's/.*--show-derived): //p' "$tmp/messages")
if [ -z "$first" ] || [ "$first" = "$second" ]; then
    die "two connections, one derived value: $first $second"
fi

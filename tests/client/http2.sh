#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# http2.sh: the same over HTTP/2, against a server of another TLS stack (Node).
#
# shellcheck source=tests/lib/test.sh
. "${srcdir:-.}/tests/lib/test.sh"
# shellcheck source=tests/client/common.sh
. "$top_src/tests/client/common.sh"
need node

n()
{
    requests "$1" 'str(r["connection"]) + ":" + r["credentials"].split("n=")[1].split(",")[0]
        + ("" if r["accepted"] else "!")'
}

# old_libcurl: before 8.
old_libcurl()
{
    [[ $(curl-config --version) == "libcurl 7."* ]]
}

for tls in 1.2 1.3; do
    name=node$tls
    background "$tmp/$name.log" node "$top_src/tests/client/http2_server.js" --cert "$tmp/cert/server.pem" \
        --cert-key "$tmp/cert/server.key" --client-key "$tmp/key" --tls "$tls"
    wait_for 20 grep -q '^listening ' "$tmp/$name.log"
    url=https://localhost:$(sed -n 's/^listening //p' "$tmp/$name.log")

    good --require-server-proof --repeat 5 "$url/get"
    body okokokokok
    report 'r["http"]' 2
    report 'r["tls"]["version"]' "TLS$tls"
    same "five requests" "$(n "$name")" "1:1 1:2 1:3 1:4 1:5"

    # The session ends after an answer: the next request goes to a new connection with a proof of its own.
    mark "$name"
    rc=0
    request --require-server-proof "$url/goodbye" "$url/get" "$url/goodbye" "$url/get" || rc=$?
    requests "$name" 'r["accepted"]' >"$tmp/all"
    lacks "$tmp/all" False
    # libcurl before 8 loses an answer now and then when the end of the session comes with it.
    if [ "$rc" -ne 4 ] || ! old_libcurl; then
        same "status" "$rc" 0
        body okokokok
        same "accepted" "$(cat "$tmp/all")" "True True True True"
        same "the first on each connection" "$(n "$name" | tr ' ' '\n' | grep -c ':1$')" 3
    fi

    good -X POST -d data "$url/get"
    bad 6 'server proof is wrong' "$url/lie"
    body ""
    bad 6 'no server proof' --require-server-proof "$url/none"
    body ""
    good "$url/none"
    bad 4 '' --require-server-proof "$url/reset"
    body ""
    bad 5 refused --id other "$url/get"
    body refused
    bad 5 refused --require-server-proof --id other "$url/get"
    body ""
    # -v shows fields in libcurl's own lines, too.
    good -v "$url/get"
    lacks "$tmp/messages" 'p=[A-Za-z0-9_-]{43}'
    has "$tmp/messages" '[Aa]uthorization:\]? \[hidden\]'
done

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# proxy.sh: through proxies the proof is made for the connection to the server, not for the one to the
# proxy, and the proxy sees none of it.
#
# shellcheck source=tests/lib/test.sh
. "${srcdir:-.}/tests/lib/test.sh"
# shellcheck source=tests/client/common.sh
. "$top_src/tests/client/common.sh"

start_proxy()
{
    local log=$tmp/$1.log
    shift
    background "$log" /usr/bin/python3 "$top_src/tests/client/proxy.py" "$@"
    wait_for 20 grep -q '^listening ' "$log"
    proxy=localhost:$(sed -n 's/^listening //p' "$log")
}

start_server server
url=https://localhost:$port/get
start_proxy plain
plain=http://$proxy
start_proxy secure --tls "$tmp/cert"
secure=https://$proxy

for tls in --tls12 --tls13; do
    good $tls --require-server-proof --repeat 2 --proxy "$plain" "$url"
    body okok
    good $tls --require-server-proof --repeat 2 --proxy "$secure" --proxy-cacert "$ca" "$url"
    body okok
    report 'r["n"]' 2
done
same "CONNECT requests" "$(grep -c CONNECT "$tmp/plain.log") $(grep -c CONNECT "$tmp/secure.log")" "2 2"
cat "$tmp/plain.log" "$tmp/secure.log" >"$tmp/seen"
lacks "$tmp/seen" '"(authorization|client|apikey)"'
start_server compat --profile compat-apikey
good --profile compat-apikey --proxy "$plain" "https://localhost:$port/get"
lacks "$tmp/plain.log" '"(authorization|client|apikey)"'

# The environment names a proxy as it does for curl; --noproxy passes it by.
mark server
https_proxy=$plain good "$url"
https_proxy=http://127.0.0.1:1 bad 4 'connect|proxy' "$url"
https_proxy=http://127.0.0.1:1 good --noproxy localhost "$url"
good -L --proxy "$plain" "${url%get}redirect?to=/get"
body ok

# The proxy's own answers are no answers of the server, and what stands in them proves nothing.
bad 6 'no server proof' --require-server-proof --proxy "$plain" "${url%get}no-proof"
start_proxy refusing --refuse
before=$(requests server 1 | wc -w)
bad 4 'proxy|CONNECT|403' --proxy "http://$proxy" "$url"
same "requests that were sent" "$(requests server 1 | wc -w)" "$before"
bad 4 'certificate does not verify|certificate' --proxy "$secure" "$url"

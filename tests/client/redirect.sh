#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# redirect.sh: redirects are not followed unless asked for, and credentials stay with the origin that was
# named: scheme, host and port.
#
# shellcheck source=tests/lib/test.sh
. "${srcdir:-.}/tests/lib/test.sh"
# shellcheck source=tests/client/common.sh
. "$top_src/tests/client/common.sh"

start_server here
here=https://localhost:$port
same_server=https://127.0.0.1:$port
start_server there
there=https://localhost:$port

# sent NAME: which requests of the server's log carried credentials.
sent()
{
    requests "$1" 'r["path"] + ":" + ("yes" if r["credentials"] else "no")'
}

bad 1 'status 302' "$here/redirect?to=/get"
body moved
same "requests" "$(sent here)" "/redirect:yes"

good -L "$here/redirect?to=/get"
body ok
report 'r["last_url"]' "$here/get"
good -L --require-server-proof "$here/redirect?to=/redirect%3Fto%3D/get"
body ok
for status in 301 302 303 307 308; do
    good -L "$here/redirect?s=$status&to=/get"
done
requests here 'r["accepted"]' >"$tmp/all"
lacks "$tmp/all" False

# Another port, another host name for the same server: no credentials, whatever the profile's fields are.
bad 5 'another origin, to which the redirect led; it got no credentials' -L "$here/redirect?to=$there/get"
report 'r["credentials"]' False
same "requests to another port" "$(sent there)" "/get:no"
bad 5 'another origin' -L "$here/redirect?to=$same_server/host"
[[ $(sent here) == */host:no* ]] || die "another host got credentials: $(sent here)"
start_server compat --profile compat-apikey
bad 5 'another origin' -L --profile compat-apikey "https://localhost:$port/redirect?to=$there/compat"
requests there '"client" in r["fields"] or "apikey" in r["fields"]' >"$tmp/fields"
lacks "$tmp/fields" True

# There and back again: with credentials at home, and only there.
good -L "$here/redirect?to=$there/redirect%3Fto%3D$here/get"
same "the way" "$(sent here | tr ' ' '\n' | tail -n 2 | tr '\n' ' ')" "/redirect:yes /get:yes "
requests there 'bool(r["credentials"])' >"$tmp/all"
lacks "$tmp/all" True

# Who wants a proof of the server gets no answer from where none can come, and asks nothing there.
before=$(sent there)
bad 6 'another origin, which gets no credentials.*nothing was sent there' -L --require-server-proof \
    "$here/redirect?to=$there/get"
body ""
same "requests to another origin" "$(sent there)" "$before"
# A redirect without a proof is not followed either.
before=$(sent here | wc -w)
bad 6 'no server proof' -L --require-server-proof "$here/redirect?to=/get&bare=1"
same "requests after it" "$(($(sent here | wc -w) - before))" 1

# Never to http, never for ever.
bad 4 'not supported|disabled' -L "$here/redirect?to=http://localhost:1/get"
bad 4 'redirects' -L "$here/around"

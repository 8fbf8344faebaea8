#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# answer.sh: the server's proof is checked before a byte of the body is handed out, in every way that it
# can be wrong; and what a status means.
#
# shellcheck source=tests/lib/test.sh
. "${srcdir:-.}/tests/lib/test.sh"
# shellcheck source=tests/client/common.sh
. "$top_src/tests/client/common.sh"

start_server server
url=https://localhost:$port

# A right one is seen with and without the demand for it.
good "$url/get"
body ok
report 'r["server_proof"]' good
good --require-server-proof "$url/get"
body ok
good --require-server-proof "$url/quoted-proof"
body ok

# A wrong one is never right, also where nobody demanded one.
for path in wrong-proof two-proofs two-parameters short-proof padded-proof empty-proof other-scheme long-proof; do
    for demand in "" --require-server-proof; do
        # shellcheck disable=SC2086 # an option or nothing
        bad 6 'server proof|Authentication-Info' $demand "$url/$path"
        body ""
        report 'r["server_proof"]' bad
    done
done

# A missing one matters where it is demanded.
good "$url/no-proof"
body ok
report 'r["server_proof"]' none
bad 6 'no server proof: the peer does not know the client key' --require-server-proof "$url/no-proof"
body ""

# Nothing is handed out or created: neither the body, nor the header, nor a file.
bad 6 'server proof' --require-server-proof -i "$url/no-proof"
body ""
bad 6 'server proof' --require-server-proof -o "$tmp/out" "$url/wrong-proof"
[ ! -e "$tmp/out" ] || die "a file was made for an answer that was not proved"

# A proof in a 103 answer or in a trailer proves nothing about the body.
bad 6 'no server proof' --require-server-proof "$url/hints"
body ""
bad 6 'no server proof' --require-server-proof "$url/trailer"
body ""
good "$url/trailer"
body ok

# A field that begins as a status line does is no refusal, which would need no proof.
for line in 'HTTP/1.1%20401:%20x' 'HTTP/x:%20401' 'HTTP/1.1%20100:%20x'; do
    bad 6 'no server proof' --require-server-proof "$url/status-field?line=$line"
    body ""
    good "$url/status-field?line=$line"
    body ok
done
bad 6 'no server proof' --require-server-proof "$url/status-trailer"
body ""

# The body of an answer that breaks off was proved, the exit code tells of the rest.
bad 4 'cut|closed|transfer|outstanding|bytes' --require-server-proof "$url/cut"
body half

# Statuses: 2xx is success, everything else is not, and the proof counts on each of them.
for status in 200 201 206 299; do
    good --require-server-proof "$url/status?s=$status"
done
good --require-server-proof "$url/status?s=204"
body ""
for status in 300 304 400 403 404 409 500 503 599; do
    bad 1 "status $status" --require-server-proof "$url/status?s=$status"
    bad 6 'no server proof' --require-server-proof "$url/status?s=$status&bare=1"
    body ""
done
bad 1 'status 302 .-L follows' "$url/status?s=302"
bad 1 'status 404' "$url/status?s=404"
body ok

# Statuses that are none, and bytes that are no HTTP: never a success, never handed out unproved.
for path in 'status?s=099&bare=1' 'status?s=101&bare=1' garbage endless; do
    rc=0
    request --require-server-proof "$url/$path" || rc=$?
    case $rc in 4 | 6) ;; *) die "$path: exit code $rc" ;; esac
    body ""
done

# Refusals. With the demand nothing of an answer without proof is handed out.
bad 5 'refused \(401\): unknown client id, wrong key' "$url/refuse"
body refused
bad 5 'refused \(401\): unknown' --require-server-proof "$url/refuse"
body ""
bad 5 'refused \(401\): unknown' --require-server-proof -i "$url/refuse"
body ""
bad 5 'not by an ekmotp server' "$url/refuse-other"
echo '{}' >"$tmp/claims"
bad 5 'claims that the server does not take' --carrier jws --claims "$tmp/claims" "$url/refuse"
bad 5 'profile that is not offered, or something' "$url/refuse"

# Closed standard streams: the answer is not written to whatever got descriptor 1.
exits 7 "$EKMOTP" request --id client1 --key "file:$tmp/key" --cacert "$ca" "$url/get" 2>"$tmp/messages" >&-
has "$tmp/messages" 'cannot be written: Bad file descriptor'
exits 7 "$EKMOTP" request --id client1 --key "file:$tmp/key" --cacert "$ca" "$url/get" <&- >&- 2>&-
"$EKMOTP" request --id client1 --key "file:$tmp/key" --cacert "$ca" "$url/get" -o "$tmp/out" <&- >&- 2>&-
same "body" "$(cat "$tmp/out")" ok

# A report is JSON, whatever bytes are in the URL and wherever a redirect leads.
bad 5 refused "$url/refuse?"$'\xff'
report 'r["url"]' "$url/refuse?%FF"
(umask 077 && head -c 32 /dev/urandom >"$tmp/other.key")
exits 5 "$EKMOTP" request --id client1 --key "file:$tmp/other.key" --cacert "$ca" "$url/get" >"$tmp/body" 2>&1
exits 5 "$EKMOTP" request --id client2 --key "file:$tmp/key" --cacert "$ca" "$url/get" >"$tmp/body" 2>&1

# The first failure is the exit code; what comes after an answer is still asked.
bad 1 'status 404' "$url/status?s=404" "$url/get"
body okok
bad 5 'refused' "$url/refuse" "$url/status?s=404" "$url/get"
# After a proof that is missing nothing more is asked.
before=$(requests server 1 | wc -w)
bad 6 'server proof' "$url/wrong-proof" "$url/get"
same "requests" "$(($(requests server 1 | wc -w) - before))" 1

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# tokens.sh: keys of the directory in a token (SoftHSM): key-encryption key, master key, a client's key, a
# new key that is handed over into one; and a server that works with all of them.
#
# shellcheck source=tests/lib/test.sh
. "${srcdir:-.}/tests/lib/test.sh"
# shellcheck source=tests/lib/token.sh
. "$top_src/tests/lib/token.sh"
# shellcheck source=tests/lib/tls.sh
. "$top_src/tests/lib/tls.sh"
# shellcheck source=tests/directory/common.sh
. "$top_src/tests/directory/common.sh"

need softhsm2-util p11tool openssl
PATH=$top_build/client:$PATH

softhsm_token "$tmp/hsm" server 1234
(umask 077 && printf 1234 >"$tmp/pin" && printf 9999 >"$tmp/wrong-pin")
for name in kek master alice; do
    random_key "$tmp/$name"
    softhsm_import server 1234 "$name" "$tmp/$name"
done
uri() { printf 'pkcs11:token=server;object=%s?module-path=%s' "$1" "$token_module"; }
kek=(--kek "$(uri kek)" --pin-source "$tmp/pin")
master=(--master "$(uri master)")

# ---- the key-encryption key ----
bad 1 'wants a PIN' add bob --out "$tmp/bob.key" --kek "$(uri kek)"
[ ! -e "$db" ] || die "a directory was made without its key"
good add bob --out "$tmp/bob.key" "${kek[@]}"
lacks "$tmp/err.log" 'kek \(mode'
[ ! -e "$db.kek" ] || die "a key-encryption key was made beside the one in the token"
bad 1 'key-encryption key is not at' list
bad 1 'the key in the token is not the key-encryption key' list --kek "$(uri alice)" --pin-source "$tmp/pin"
bad 1 'PIN' list --kek "$(uri kek)" --pin-source "$tmp/wrong-pin"
bad 1 'has no secret key' list --kek "$(uri nobody)" --pin-source "$tmp/pin"
# The same key in a file opens it: it is the same key.
good list --kek "$tmp/kek"

# ---- the master key, a client's key ----
good add carol --derive "${kek[@]}" "${master[@]}" --out "$tmp/carol.key"
on "$tmp/other.db" good add carol --derive --master "$tmp/master" --out "$tmp/carol-2.key"
cmp "$tmp/carol.key" "$tmp/carol-2.key"
good add alice --token "$(uri alice)" "${kek[@]}"
good add lost --token "$(uri lost)" "${kek[@]}"
bad 1 '1 fault found' check --tokens "${kek[@]}" "${master[@]}"
out 'client lost: '
good check "${kek[@]}" "${master[@]}"

# ---- a new key into a token ----
good add dora --out "$(uri dora)" "${kek[@]}"
out 'its key is in the token'
bad 1 'nothing was changed in the directory' add emil --out "$(uri dora)" "${kek[@]}"
err 'a key of this name already'
bad 1 'there is no client emil' show emil "${kek[@]}"

# ---- a server with all of them, and no secret on its disk ----
make_certificate "$tmp/cert"
background "$tmp/server.log" "$EKMOTPD" serve --listen 127.0.0.1:0 --cert "$tmp/cert/server.pem" \
    --key "$tmp/cert/server.key" --directory "$db" --agent-program "$EKMOTP_AGENT" "${kek[@]}" "${master[@]}"
listening() { sed -n 's/.*listening.*127\.0\.0\.1:\([0-9]*\).*/\1/p' "$tmp/server.log" | grep -m1 .; }
wait_for 20 listening
port=$(listening)
request()
{
    "$EKMOTP" request --id "$1" --key "$2" "${@:3}" --cacert "$tmp/cert/ca.pem" --agent-program "$EKMOTP_AGENT" \
        --require-server-proof "https://localhost:$port/get" >"$tmp/out.log" 2>"$tmp/err.log"
}
for client in bob carol; do
    request "$client" "file:$tmp/$client.key" || die "$client: $(cat "$tmp/err.log")"
done
request alice "file:$tmp/alice" || die "alice: $(cat "$tmp/err.log")"
request dora "$(uri dora)" --pin-source "$tmp/pin" || die "dora: $(cat "$tmp/err.log")"
exits 5 request alice "file:$tmp/bob.key"
exits 5 request carol "file:$tmp/bob.key"
# The key that cannot be opened: 503 for its client, and the others go on.
fails request lost "file:$tmp/bob.key"
has "$tmp/server.log" 'status=503 reason=key-unavailable .*client=lost'
request alice "file:$tmp/alice"

# ---- a change is seen within a second or so ----
good disable bob "${kek[@]}"
refused()
{
    local rc=0
    request bob "file:$tmp/bob.key" || rc=$?
    [ "$rc" -eq 5 ]
}
wait_for 10 refused
request carol "file:$tmp/carol.key"

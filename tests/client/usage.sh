#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# usage.sh: wrong command lines and bad keys: exit code 2 or 3, a message that names the place, and nothing
# is sent. No server is there: a command that got so far would end with 4.
#
# shellcheck source=tests/lib/test.sh
. "${srcdir:-.}/tests/lib/test.sh"

url=https://127.0.0.1:1/
(umask 077 && head -c 32 /dev/urandom >"$tmp/key")

run()
{
    "$EKMOTP" "$@" >"$tmp/out" 2>"$tmp/messages" </dev/null
}

# wrong STATUS REGEX ARGS...: of ekmotp.
wrong()
{
    local status=$1 regex=$2
    shift 2
    exits "$status" run "$@"
    has "$tmp/messages" "$regex"
    same "standard output" "$(cat "$tmp/out")" ""
}

# The commands.
wrong 2 'Usage: ekmotp COMMAND'
wrong 2 "no command 'reqest'" reqest
wrong 2 "no command ''" ''
wrong 2 "no command 'x'" help x
for words in help --help -h "help request" "request --help"; do
    # shellcheck disable=SC2086 # words
    "$EKMOTP" $words >"$tmp/out" 2>"$tmp/messages"
    has "$tmp/out" '^Usage: ekmotp'
    same "messages" "$(cat "$tmp/messages")" ""
done
has "$tmp/out" '3 = token or key'
for words in version --version -V "request --version"; do
    # shellcheck disable=SC2086 # words
    same "version" "$("$EKMOTP" $words)" "$("$EKMOTP" version)"
done

# What a request cannot do without.
me=(request --id client1 --key "file:$tmp/key")
wrong 4 connect "${me[@]}" "$url"
wrong 2 'URL is missing' "${me[@]}"
wrong 2 '--id is missing' request --key "file:$tmp/key" "$url"
wrong 2 '--key is missing' request --id client1 "$url"
wrong 2 'unrecognized option' "${me[@]}" --no-such-option "$url"
wrong 2 'requires an argument' "${me[@]}" "$url" --cacert

# Values.
wrong 2 '1 to 255 bytes' "${me[@]}" --id '' "$url"
wrong 2 '255 bytes at most' "${me[@]}" --id "$(printf '%0256d' 0)" "$url"
wrong 4 connect "${me[@]}" --id "$(printf '%0255d' 0)" "$url"
wrong 2 "'%' at character 3" "${me[@]}" --id 'ab%4' "$url"
wrong 2 "'%' at character 1" "${me[@]}" --id '%' "$url"
wrong 2 "profile.*v1, compat-apikey" "${me[@]}" --profile v2 "$url"
wrong 2 "profile" "${me[@]}" --profile '' "$url"
wrong 2 "hash" "${me[@]}" --hash md5 "$url"
wrong 2 "none of header, jws, jwe" "${me[@]}" --carrier cookie "$url"
wrong 2 "not a time in seconds" "${me[@]}" --max-time 0 "$url"
wrong 2 "not a time in seconds" "${me[@]}" --max-time -1 "$url"
wrong 2 "not a time in seconds" "${me[@]}" --max-time 5s "$url"
wrong 2 "not a time in seconds" "${me[@]}" --max-time nan "$url"
wrong 2 "not a time in seconds" "${me[@]}" --connect-timeout 1e9 "$url"
wrong 2 "not a number of 1 to" "${me[@]}" --repeat 0 "$url"
wrong 2 "not a number of 1 to" "${me[@]}" --repeat -3 "$url"
wrong 2 "not a number of 1 to" "${me[@]}" --repeat 99999999999999999999 "$url"
wrong 2 "not a method" "${me[@]}" -X 'GET /x HTTP/1.1' "$url"
wrong 2 "not a method" "${me[@]}" -X '' "$url"
wrong 2 "not a method" "${me[@]}" -X $'GET\r\n' "$url"
wrong 2 "no group 'nistp7'" "${me[@]}" --groups X25519,nistp7 "$url"
wrong 2 "no group ''" "${me[@]}" --groups '' "$url"
wrong 2 "exclude each other" "${me[@]}" --http1.1 --http2 "$url"
wrong 2 'no-such-file' "${me[@]}" -d "@$tmp/no-such-file" "$url"

for where in '' garbage a:1:b a:1:b:2:3 a:x:b:2 a:1:b:65536 'a:1:[::1:2' a:1:::1:2; do
    wrong 2 'give HOST1:PORT1:HOST2:PORT2' "${me[@]}" --connect-to "$where" "$url"
done
for where in ::127.0.0.1:1 ':::' '[::1]:443:[::1]:1'; do
    wrong 4 connect "${me[@]}" --connect-to "$where" "$url"
done

# Fields that are ours, or none.
for field in 'Authorization: Basic abc' 'authorization;' 'AUTHORIZATION:' 'client: me' 'ApiKey: x'; do
    wrong 2 'carries the proof and cannot be set' "${me[@]}" -H "$field" "$url"
done
for field in '' 'no colon' ': x' $'X: a\r\nAuthorization: b' $'X: a\nY: b' 'Auth orization: x' ' Authorization: x'; do
    wrong 2 'not a header field' "${me[@]}" -H "$field" "$url"
done

for field in 'Content-Length: 5' 'content-length:0' 'Content-Length;'; do
    wrong 2 'Content-Length is that of the body' "${me[@]}" -H "$field" "$url"
    wrong 2 'Content-Length is that of the body' "${me[@]}" -d body -H "$field" "$url"
done
for host in bücher.example 'b%C3%BCcher.example' 例え.example; do
    wrong 2 'give the host in its ASCII form' "${me[@]}" "https://$host/"
    LC_ALL=C.UTF-8 wrong 2 'give the host in its ASCII form' "${me[@]}" "https://$host/"
done

# Options that do not go together.
echo '{}' >"$tmp/claims.json"
wrong 2 'wants --carrier jws or jwe' "${me[@]}" --claims "$tmp/claims.json" "$url"
wrong 2 '--carrier is for profile v1' "${me[@]}" --profile compat-jws --carrier jwe "$url"
wrong 2 '--require-server-proof wants profile v1' "${me[@]}" --profile compat-apikey --require-server-proof "$url"
wrong 2 'knows SHA-256 only' "${me[@]}" --profile compat-apikey --hash sha512 "$url"
wrong 2 'visible ASCII' "${me[@]}" --profile compat-apikey --id 'a%20b' "$url"

# Keys in files.
wrong 3 'no-such-key.*No such file' request --id client1 --key "file:$tmp/no-such-key" "$url"
wrong 3 'is not a file' request --id client1 --key "file:$tmp" "$url"
(umask 077 && : >"$tmp/empty" && head -c 31 /dev/zero >"$tmp/short" && head -c 65 /dev/zero >"$tmp/long")
wrong 3 'is empty' request --id client1 --key "file:$tmp/empty" "$url"
wrong 3 'too long' request --id client1 --key "file:$tmp/long" "$url"
wrong 3 '31 bytes' request --id client1 --key "file:$tmp/short" "$url"
wrong 4 connect request --id client1 --key "file:$tmp/short" --profile compat-apikey "$url"
cp "$tmp/key" "$tmp/shared" && chmod 640 "$tmp/shared"
wrong 3 'chmod 600' request --id client1 --key "file:$tmp/shared" "$url"
wrong 2 'neither file:PATH nor a pkcs11: URI' request --id client1 --key "$tmp/key" "$url"
wrong 2 'neither file:PATH nor a pkcs11: URI' request --id client1 --key '' "$url"

# PINs stand in files or are typed; an agent must be there.
wrong 2 'PIN in the URI is seen by others' request --id client1 --key 'pkcs11:token=t;object=k?pin-value=1234' "$url"
wrong 2 'PIN in the URI' request --id client1 --key 'pkcs11:token=t?module-name=x&pin-value=1' "$url"
wrong 3 'cannot be started' request --id client1 --key 'pkcs11:token=t;object=k' --agent-program "$tmp/none" "$url"
wrong 3 'no agent listens there' request --id client1 --key 'pkcs11:token=t;object=k' --agent "$tmp/none" "$url"
EKMOTP_AGENT_SOCK="$tmp/none" wrong 3 'no agent listens there' request --id client1 --key 'pkcs11:token=t;object=k' "$url"

# Nobody may look into the process, and it leaves no core.
background "$tmp/mute.log" /usr/bin/python3 -c "
import socket, time
s = socket.create_server(('127.0.0.1', 0))
print('listening', s.getsockname()[1], flush=True)
c, _ = s.accept()
print('accepted', flush=True)
time.sleep(60)"
wait_for 20 grep -q listening "$tmp/mute.log"
as_other=()
if [ "$(id -u)" -eq 0 ]; then
    # Root owns all that /proc shows of its own processes: see what another user's looks like.
    need setpriv
    as_other=(setpriv --reuid 65534 --regid 65534 --clear-groups)
    "${as_other[@]}" test -x "$EKMOTP" || skip "another user cannot reach the build folder"
fi
exec 3<"$tmp/key"
"${as_other[@]}" "$EKMOTP" request --id client1 --key file:- "https://127.0.0.1:$(sed -n 's/listening //p' "$tmp/mute.log")/" \
    <&3 >"$tmp/request.log" 2>&1 &
child=$!
test_pids+=("$child")
wait_for 20 grep -q accepted "$tmp/mute.log"
has "/proc/$child/limits" '^Max core file size +0 +0 '
program=$top_build/client/.libs/ekmotp
[ -f "$program" ] || program=$EKMOTP
if [[ $(nm -D "$program" 2>/dev/null) == *__asan_init* ]]; then
    say "AddressSanitizer looks into the process: what others see is not tested"
else
    same "owner of what /proc shows" "$(stat -c %u "/proc/$child/environ")" 0
fi

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The nginx module: directives, what is verified where, channels, reloads.
. "${srcdir:-.}/tests/lib/test.sh"
. "$top_src/tests/lib/tls.sh"
. "$top_src/tests/nginx/nginx.sh"
need curl

make_certificate "$tmp"
directory=$tmp/clients.db
enrol "$directory" client1 --generate --out "$tmp/client1.key"
enrol "$directory" other --generate --out "$tmp/other.key"
mkdir -p "$tmp/www/files"
echo hello >"$tmp/www/page"
echo index >"$tmp/www/files/index.html"
listen="listen $nginx_address:$nginx_port ssl http2; server_name localhost;"

say "what the configuration must not say"
nginx_refuses 'needs an "ekmotp_directory"' "server { $listen ekmotp on; }"
nginx_refuses 'missing.db' "server { $listen ekmotp on; ekmotp_directory $tmp/missing.db; }"
nginx_refuses 'unknown profile .v7.' "server { $listen ekmotp_profile v7; }"
nginx_refuses 'compat-jws is not for nginx' "server { $listen ekmotp_profile compat-jws; }"
nginx_refuses 'v1 stands twice' "server { $listen ekmotp_profile v1 v1; }"
nginx_refuses 'invalid parameter "key=x"' "server { $listen ekmotp_directory $directory key=x; }"
nginx_refuses 'invalid value "yes"' "server { $listen ekmotp yes; }"
nginx_refuses 'byte 2 of the realm' "server { $listen ekmotp on; ekmotp_directory $directory; ekmotp_realm 'a\"b'; }"
nginx_refuses 'has a location that is not' \
    "server { $listen ekmotp on; ekmotp_directory $directory; return 204; location /open { ekmotp off; } }"
for other in "ekmotp_directory $directory kek=$directory.kek;" "ekmotp_profile compat-apikey;"; do
    nginx_refuses 'has a location .* with a directory or profiles' \
        "server { $listen ekmotp on; ekmotp_directory $directory; return 204; location /other { $other } }"
done
cp "$directory" "$tmp/other.db"
head -c 32 /dev/urandom >"$tmp/other.kek"
chmod 600 "$tmp/other.kek"
nginx_refuses 'key-encryption key' "server { $listen ekmotp on; ekmotp_directory $tmp/other.db kek=$tmp/other.kek; }"

backend=$nginx_address:8081
nginx_conf "
    ekmotp_directory $directory;
    ekmotp_realm unit;
    access_log $tmp/ekmotp.log ekmotp;
    server {
        $listen
        location / { }
        location = /on { ekmotp on; try_files /page =404; }
        location = /return { ekmotp on; return 200 'returned \$ekmotp_client'; }
        location = /rewrite { ekmotp on; rewrite ^ /page last; }
        location = /inner { internal; ekmotp on; try_files /page =404; }
        location = /redirect { ekmotp on; error_page 404 = /inner; try_files /none =404; }
        location /files/ { ekmotp on; }
        location = /any { ekmotp on; satisfy any; allow all; try_files /page =404; }
        location = /optional { ekmotp optional; return 200 'status=\$ekmotp_status client=\$ekmotp_client'; }
        location = /page401 { ekmotp on; error_page 401 /own401; try_files /page =404; }
        location = /own401 { internal; return 401 'own page'; }
        location = /limited { ekmotp on; ekmotp_max_requests 2; return 200 'x'; }
        location = /profile { ekmotp on; ekmotp_profile compat-apikey; return 200 'x'; }
        location = /proxied { ekmotp on; proxy_set_header X-Client \$ekmotp_client; proxy_pass http://$backend/; }
        location = /auth { ekmotp on; auth_request /inner-auth; try_files /page =404; }
        location = /inner-auth { internal; ekmotp on; return 204; }
    }
    server { listen $backend; location / {
        add_header Authentication-Info 'p=forged'; return 200 'backend saw \$http_x_client'; } }
    server { listen $nginx_address:8080; ekmotp on; location / { try_files /page =404; } }
    server { listen $nginx_address:8444 ssl; ekmotp on; return 200 'server return'; }
    server { listen $nginx_address:8445 ssl; ssl_early_data on; ekmotp on; location / { return 200 'early'; } }
"
nginx_start

# well-formed, for client1, and wrong
made_up="EKMOTP k=Y2xpZW50MQ, n=1, p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA, v=AAAAAAAAAAAAAAAAAAAAAA"

say "a verified request"
request /on --require-server-proof
same body "$(cat "$tmp/out")" hello
wait_for 5 grep -q '^/page status=200 client=client1 verdict=accepted reason=ok n=1$' "$tmp/ekmotp.log"

say "whatever answers, the request was verified before"
for path in /on /return /rewrite /redirect /files/ /any /limited /auth; do
    request "$path" --require-server-proof --repeat 2 || die "$path: $(cat "$tmp/err")"
    same "$path without credentials" "$(plain "$path")" 401
    exits 5 as client1 "$tmp/other.key" "$path" -s -o /dev/null
done
same "location without the module" "$(plain /page)" 200
request /return
same "returned" "$(cat "$tmp/out")" "returned client1"

say "a return of the server block is covered"
same "server return" "$(port=8444 plain /)" 401
port=8444 request /
same "server return" "$(cat "$tmp/out")" "server return"

say "optional: never refused, never believed"
same "optional" "$(plain /optional)" 200
same "optional without credentials" "$(cat "$tmp/plain")" "status=none client="
same "optional" "$(plain /optional -H 'Authorization: EKMOTP k=YQ')" 200
same "optional with bad credentials" "$(cat "$tmp/plain")" "status=refused client="
request /optional
same "optional with good credentials" "$(cat "$tmp/out")" "status=accepted client=client1"

say "one refusal for every reason"
for credentials in 'X: y' 'Authorization: EKMOTP k=YQ' 'Authorization: Basic YTpi' 'Authorization: Bearer x' \
    "Authorization: $made_up" "Authorization: ${made_up/Y2xpZW50MQ/bm9ib2R5}"; do
    same "$credentials" "$(plain /on -H "$credentials" -D "$tmp/head")" 401
    grep -vi '^date:' "$tmp/head" >"$tmp/refusal"
    cat "$tmp/plain" >>"$tmp/refusal"
    [ -e "$tmp/first" ] || cp "$tmp/refusal" "$tmp/first"
    cmp "$tmp/first" "$tmp/refusal"
done
has "$tmp/first" '^www-authenticate: EKMOTP realm="unit"'
has "$tmp/error.log" 'reason=other-session client="client1"'
has "$tmp/error.log" 'reason=unknown-client client="nobody"'
same "own page" "$(plain /page401)" 401
same "own page" "$(cat "$tmp/plain")" "own page"

say "a profile that is not offered"
exits 5 request /profile
"$EKMOTPD" client set client1 --directory "$directory" --profile v1,compat-apikey >>"$tmp/enrol.log" 2>&1
wait_for 10 request /profile --profile compat-apikey

say "the backend sees the client, and cannot forge the server's proof"
request /proxied --require-server-proof
same "backend" "$(cat "$tmp/out")" "backend saw client1"

say "one connection, many requests"
request /on --repeat 5 --report "$tmp/report"
same "connections" "$(jq -s '[.[].n] | join(",")' <"$tmp/report")" '"1,2,3,4,5"'
request /on --repeat 3 --http1.1 --require-server-proof
request /limited --repeat 5 --http1.1 --report "$tmp/report"
same "limited" "$(jq -s '[.[].n] | join(",")' <"$tmp/report")" '"1,2,1,2,1"'
request /limited --repeat 5 --http2 --report "$tmp/report"
same "limited, HTTP/2" "$(jq -s '[.[].n] | max' <"$tmp/report")" 2

say "listeners that cannot be trusted"
same "plain HTTP" "$(curl -s -o /dev/null -w '%{http_code}' "http://$nginx_address:8080/" \
    -H "Authorization: $made_up")" 401
has "$tmp/error.log" 'reason=tls-version .*plain HTTP'

say "TLS 1.2, with extended master secret and without"
request /on --tls12 --require-server-proof
cat >"$tmp/no-ems.cnf" <<'EOF'
openssl_conf = init
[init]
ssl_conf = ssl
[ssl]
system_default = default
[default]
Options = -ExtendedMasterSecret
EOF
printf 'GET /on HTTP/1.1\r\nHost: localhost\r\nAuthorization: %s\r\nConnection: close\r\n\r\n' "$made_up" |
    OPENSSL_CONF=$tmp/no-ems.cnf openssl s_client -ign_eof -quiet -tls1_2 -connect "$nginx_address:$nginx_port" \
        >"$tmp/no-ems" 2>"$tmp/no-ems.err"
has "$tmp/no-ems" '^HTTP/1.1 401'
has "$tmp/error.log" 'reason=tls-ems'

say "early data"
printf 'GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: %s\r\nConnection: close\r\n\r\n' "$made_up" >"$tmp/early"
openssl s_client -ign_eof -quiet -tls1_3 -sess_out "$tmp/session" -connect "$nginx_address:8445" <"$tmp/early" \
    >"$tmp/early.out" 2>&1
has "$tmp/error.log" 'reason=other-session'
openssl s_client -ign_eof -quiet -tls1_3 -sess_in "$tmp/session" -early_data "$tmp/early" \
    -connect "$nginx_address:8445" </dev/null >"$tmp/early.out" 2>&1
has "$tmp/early.out" '^HTTP/1.1 401'
has "$tmp/error.log" 'reason=tls-(handshake|early-data)'

say "a change of the directory is seen without a reload"
"$EKMOTPD" client disable client1 --directory "$directory" >>"$tmp/enrol.log" 2>&1
wait_for 5 refused /on
"$EKMOTPD" client enable client1 --directory "$directory" >>"$tmp/enrol.log" 2>&1
wait_for 5 request /on

say "a broken directory: the old one stays, and the log says so"
cp "$directory" "$tmp/good.db"
dd if=/dev/urandom of="$directory" bs=1024 count=4 conv=notrunc status=none
wait_for 10 grep -q 'the version read before stays in use' "$tmp/error.log"
request /on
fails nginx_run -t 2>"$tmp/refused.txt"
cat "$tmp/good.db" >"$directory"
enrol "$directory" late --generate --out "$tmp/late.key"
wait_for 10 as late "$tmp/late.key" /on

say "reload and the death of a worker"
old=$(pgrep -P "$nginx_pid")
nginx_run -s reload
for worker in $old; do
    wait_for 20 gone "$worker"
done
request /on --repeat 3
kill -KILL "$(pgrep -P "$nginx_pid" | head -1)"
wait_for 10 request /on
lacks "$tmp/error.log" 'exited on signal (11|6)'
stop "$nginx_pid"
lacks "$tmp/error.log" 'p=[A-Za-z0-9_-]{43}'

# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# nginx.sh: an nginx with the module, of this test's own, after test.sh and tls.sh.

need nginx
module=$top_build/server/nginx/ngx_http_ekmotp_module.so
[ -e "$module" ] || skip "the nginx module was not built (nginx-dev)"

# nginx cannot choose a free port: an address of the loopback network that nobody else has does as well.
nginx_address=127.$((RANDOM % 250 + 2)).$((RANDOM % 250 + 2)).$((RANDOM % 250 + 2))
nginx_port=8443
nginx_dir=$tmp # the folder of the nginx that is meant
library_path=
for library in core openssl jose directory; do
    library_path=$top_build/lib/$library/.libs:$library_path
done
library_path=$top_build/p11/.libs:$library_path
nginx_environment=("LD_LIBRARY_PATH=$library_path")
# A module that was built with AddressSanitizer, which nginx itself is not.
asan=$(ldd "$module" | sed -n 's/.*libasan.* => \([^ ]*\) .*/\1/p')
[ -z "$asan" ] || nginx_environment+=("LD_PRELOAD=$asan" "ASAN_OPTIONS=detect_leaks=0:${nginx_asan_options-}")

# nginx_conf HTTP-BLOCK: writes $nginx_dir/nginx.conf; certificates are in $tmp.
nginx_conf()
{
    mkdir -p "$nginx_dir/logs" "$nginx_dir/www"
    cat >"$nginx_dir/nginx.conf" <<EOF
load_module $module;
env SOFTHSM2_CONF; env LD_LIBRARY_PATH; env LD_PRELOAD; env ASAN_OPTIONS;
worker_processes ${nginx_workers:-2};
pid $nginx_dir/nginx.pid;
error_log $nginx_dir/error.log info;
$([ "$(id -u)" -ne 0 ] || echo "user root;")
events { worker_connections 1024; }
http {
    access_log $nginx_dir/access.log combined;
    log_format ekmotp '\$uri status=\$status client=\$ekmotp_client verdict=\$ekmotp_status reason=\$ekmotp_reason n=\$ekmotp_n';
    client_body_temp_path $nginx_dir/body; proxy_temp_path $nginx_dir/proxy; fastcgi_temp_path $nginx_dir/fastcgi;
    uwsgi_temp_path $nginx_dir/uwsgi; scgi_temp_path $nginx_dir/scgi;
    ssl_certificate $tmp/server.pem; ssl_certificate_key $tmp/server.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    root $nginx_dir/www;
    $1
}
EOF
}

nginx_run()
{
    env "${nginx_environment[@]}" nginx -p "$nginx_dir/" -c "$nginx_dir/nginx.conf" -e "$nginx_dir/error.log" "$@"
}

# nginx_refuses REGEX HTTP-BLOCK: the configuration must be refused with a message that matches.
nginx_refuses()
{
    nginx_conf "$2"
    fails nginx_run -t 2>"$tmp/refused.txt"
    has "$tmp/refused.txt" "$1"
}

# nginx_start [COMMAND...]: starts it, under a command where one is given ("nsenter --net=FILE")
nginx_start()
{
    background "$nginx_dir/nginx.log" "$@" env "${nginx_environment[@]}" nginx -p "$nginx_dir/" \
        -c "$nginx_dir/nginx.conf" -e "$nginx_dir/error.log" -g 'daemon off;'
    nginx_pid=$background_pid
    wait_for 20 bash -c "exec 3<>/dev/tcp/$nginx_address/$nginx_port"
}

# as ID KEY-FILE PATH [OPTION...]: ekmotp request as somebody, to port $port or the usual one
as()
{
    local id=$1 key=$2 path=$3
    shift 3
    "$EKMOTP" request --id "$id" --key "file:$key" --cacert "$tmp/ca.pem" \
        --connect-to "localhost:443:$nginx_address:${port:-$nginx_port}" "$@" "https://localhost$path"
}

# request PATH [OPTION...]: as client1 with its key; the body is in $tmp/out, messages in $tmp/err.
request()
{
    local path=$1
    shift
    as client1 "$tmp/client1.key" "$path" "$@" >"$tmp/out" 2>"$tmp/err"
}

# refused PATH: true once client1 is refused
refused()
{
    local rc=0
    request "$1" || rc=$?
    [ "$rc" -eq 5 ]
}

# plain PATH [OPTION...]: curl without credentials: the status.
plain()
{
    local path=$1
    shift
    curl -s -o "$tmp/plain" -w '%{http_code}' --cacert "$tmp/ca.pem" \
        --connect-to "localhost:443:$nginx_address:${port:-$nginx_port}" "$@" "https://localhost$path"
}

# enrol DIRECTORY ID [OPTION...]
enrol()
{
    local directory=$1 id=$2
    shift 2
    "$EKMOTPD" client add "$id" --directory "$directory" "$@" >>"$tmp/enrol.log" 2>&1
}

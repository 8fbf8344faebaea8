#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The examples of docs/nginx.md load as they stand, with this test's own files and addresses in place of theirs.
. "${srcdir:-.}/tests/lib/test.sh"
. "$top_src/tests/lib/tls.sh"
. "$top_src/tests/nginx/nginx.sh"
need haproxy

make_certificate "$tmp"
enrol "$tmp/clients.db" client1 --generate --out "$tmp/client1.key"
# examples KIND: writes the code blocks of this kind to $tmp/example.KIND.1, .2 ...; says how many
examples()
{
    awk -v kind="$1" -v base="$tmp/example.$1." '
        $0 == "```" { inside = 0 }
        inside { print >(base n) }
        $0 == "```" kind { inside = 1; n++ }
        END { print n + 0 }' "$top_src/docs/nginx.md"
}

same "examples for nginx" "$(examples nginx)" 2
for i in 1 2; do
    sed -e "s#/usr/local/lib/nginx/modules/ngx_http_ekmotp_module.so#$module#" -e "s#/var/lib/ekmotp/#$tmp/#" \
        -e "s#/etc/ssl/api#$tmp/server#" -e "s#/var/log/nginx#$tmp#" -e "s#listen 443#listen $nginx_address:$nginx_port#" \
        -e "s#^http {#pid $tmp/nginx.pid; http { access_log off;#" "$tmp/example.nginx.$i" >"$tmp/nginx.conf"
    nginx_run -t 2>"$tmp/nginx.log" || die "example $i: $(cat "$tmp/nginx.log")"
    # Each directive is what the example says, not something that nginx let pass.
    sed 's/ekmotp on;/ekmotp yes;/' "$tmp/nginx.conf" >"$tmp/wrong.conf"
    mv "$tmp/wrong.conf" "$tmp/nginx.conf"
    fails nginx_run -t 2>"$tmp/refused.txt"
    has "$tmp/refused.txt" 'invalid value "yes"'
done
same "examples for HAProxy" "$(examples haproxy)" 1
haproxy -c -f "$tmp/example.haproxy.1" >"$tmp/haproxy.log" 2>&1 || die "the example is refused: $(cat "$tmp/haproxy.log")"

# Each directive and variable of the module is in the docs, and nothing else is.
documented()
{
    grep -oE "$1" "$top_src/docs/nginx.md" | sort -u
}
in_source()
{
    sed -nE "$1" "$top_src/server/nginx/module.c" | sort -u
}
same "directives" "$(documented '^\| `ekmotp[a-z_]*' | cut -c4-)" \
    "$(in_source 's/^    \{ngx_string\("(ekmotp[a-z_]*)"\),.*/\1/p')"
same "variables" "$(documented '^\| `\$ekmotp_[a-z]*' | cut -c5-)" \
    "$(sed -n '/ngx_str_t names/,/};/p' "$top_src/server/nginx/module.c" | grep -oE '"ekmotp_[a-z]*"' | tr -d '"' | sort)"

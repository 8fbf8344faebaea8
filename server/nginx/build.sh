#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the nginx module against the packaged nginx: build.sh NGINX-SOURCE SOURCE-TREE BUILD-TREE LIBS OUTPUT,
# with CFLAGS and LDFLAGS of the environment. The packaged source is copied, because nginx's configure writes into it.
set -eu
nginx=$1 source=$(cd "$2" && pwd) EKMOTP_BUILD=$(cd "$3" && pwd) libs=$4 output=$5
work=$EKMOTP_BUILD/server/nginx/build

rm -rf "$work"
mkdir -p "$work"
cp -r "$nginx/." "$work/"
EKMOTP_SOURCE=$source
EKMOTP_LIBS=$libs
export EKMOTP_SOURCE EKMOTP_BUILD EKMOTP_LIBS
# conf_flags is an array of bash.
(cd "$work" && bash -c '. ./conf_flags && ./configure "${NGX_CONF_FLAGS[@]}" --add-dynamic-module="$1" \
	--with-cc-opt="$CFLAGS" --with-ld-opt="$LDFLAGS"' sh "$source/server/nginx" &&
	make -f objs/Makefile modules) >"$work/build.log" 2>&1 || {
	tail -n 40 "$work/build.log" >&2
	exit 1
}
cp "$work/objs/ngx_http_ekmotp_module.so" "$output"

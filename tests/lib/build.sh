#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# build.sh KIND: bootstraps where needed and builds out of tree in build/KIND.
#   plain   as a user gets it, warnings are errors
#   asan    with AddressSanitizer and UndefinedBehaviorSanitizer
#   tsan    with ThreadSanitizer
#   fuzz    the libFuzzer targets, by clang
#   openssl ekmotp on libcurl's OpenSSL flavour, whose development package cannot be installed beside the other's
set -eu -o pipefail

kind=${1:-plain}
src=$(cd "$(dirname "$0")/../.." && pwd)
dir=$src/build/$kind
jobs=$(nproc 2>/dev/null || echo 2)
options=(--enable-werror)
flags="-g -O2"
cc=gcc
case $kind in
    plain) ;;
    asan) options+=("--enable-sanitizers=address,undefined") flags="-g -O1" ;;
    tsan) options+=(--enable-sanitizers=thread) flags="-g -O1" ;;
    openssl) options+=(--with-client-tls=openssl) ;;
    fuzz) options+=(--enable-fuzzers "--enable-sanitizers=address,undefined") flags="-g -O1" cc=clang ;;
    *)
        echo "build.sh: no such kind of build: $kind" >&2
        exit 2
        ;;
esac
if command -v ccache >/dev/null; then
    cc="ccache $cc"
fi

# quiet LOG WORDS COMMAND...: one line while it runs, the end of its output if it fails.
quiet()
{
    local log=$1 words=$2 start=$SECONDS
    shift 2
    mkdir -p "$(dirname "$log")"
    printf '== %s ...' "$words"
    if "$@" >"$log" 2>&1; then
        printf ' %d s\n' "$((SECONDS - start))"
    else
        printf ' FAILED after %d s\n' "$((SECONDS - start))"
        grep -nE 'error|Error|undefined reference' "$log" | head -n 20 || :
        tail -n 30 "$log"
        echo "== the whole log: $log"
        exit 1
    fi
}

case $src in
    *[!A-Za-z0-9/._+,:@%~-]*)
        echo "build.sh: autoconf and libtool cannot build below '$src': move the sources to a path without" \
            "white space and special characters" >&2
        exit 1
        ;;
esac

cd "$src"
mkdir -p build
# Two verbs at once build one after the other.
if command -v flock >/dev/null; then
    exec 9>build/lock
    flock 9
fi
newer=$(find configure.ac Makefile.am . -path ./build -prune -o \( -name module.am -o -name configure.ac \
    -o -name Makefile.am \) -newer configure -print 2>/dev/null | head -n 1 || :)
if [ ! -x configure ] || [ -n "$newer" ]; then
    quiet build/autoreconf.log "autoreconf -i" autoreconf -i
fi
mkdir -p "$dir"
targets=()
if [ "$kind" = openssl ]; then
    targets=(client/ekmotp)
    if [ ! -x "$dir/curl/usr/bin/curl-config" ]; then
        # Its headers and curl-config from the package as it is, the library itself from the system.
        quiet "$dir/download.log" "libcurl4-openssl-dev" sh -ec 'cd "$1" && apt-get -q download libcurl4-openssl-dev &&
            dpkg -x libcurl4-openssl-dev_*.deb curl' - "$dir"
    fi
    PATH=$dir/curl/usr/bin:$PATH
    options+=("LIBCURL_CFLAGS=-I$(echo "$dir"/curl/usr/include/*-linux-gnu*)" "LIBCURL_LIBS=-l:libcurl.so.4")
fi
cd "$dir"
# Packages that came since bring parts that configure left out.
if [ ! -f Makefile ] || [ "$src/configure" -nt Makefile ] || [ "$src/build/packages" -nt Makefile ]; then
    quiet "$dir/configure.log" "configure ($kind)" "$src/configure" "${options[@]}" CC="$cc" CFLAGS="$flags"
fi
quiet "$dir/make.log" "make -j$jobs ($kind)" make -j"$jobs" ${targets[@]+"${targets[@]}"}

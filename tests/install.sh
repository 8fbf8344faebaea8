#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# install.sh BUILD: installs into a scratch folder and uses what is there as a stranger would: each
# library exports what its headers declare, and a program builds through pkg-config alone.
set -eu -o pipefail
srcdir=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/lib/test.sh
. "$srcdir/tests/lib/test.sh"

build=$(cd "$1" && pwd)
dest=$tmp/dest
make -C "$build" install DESTDIR="$dest" >"$tmp/install.log" 2>&1
prefix=$(sed -n 's/^prefix = //p' "$build/Makefile")
root=$dest$prefix

for header in "$top_src"/include/ekmotp/*.h; do
    [ -f "$root/include/ekmotp/$(basename "$header")" ] || die "$(basename "$header") is not installed"
done
for library in ekmotp ekmotp-gnutls ekmotp-openssl ekmotp-jose ekmotp-directory ekmotp-p11; do
    [ -f "$root/lib/lib$library.so" ] || die "lib$library.so is not installed"
    [ -f "$root/lib/pkgconfig/$library.pc" ] || die "$library.pc is not installed"
    # Machine paths in an installed library would be this build's, not the user's.
    if grep -q -a -F "$build/" "$root/lib/lib$library.so" && readelf -d "$root/lib/lib$library.so" | grep -q RPATH; then
        die "lib$library.so has an RPATH into the build folder"
    fi
done
for program in bin/ekmotp sbin/ekmotpd libexec/ekmotp-agent; do
    [ -x "$root/$program" ] || die "$program is not installed"
    LD_LIBRARY_PATH=$root/lib "$root/$program" --version >"$tmp/version" || die "$program --version fails"
    [ -s "$tmp/version" ] || die "$program --version prints nothing"
done

export PKG_CONFIG_PATH=$root/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$dest
cat >"$tmp/stranger.c" <<'END'
#include <ekmotp/client.h>
#include <ekmotp/directory.h>
#include <ekmotp/gnutls.h>
#include <ekmotp/jose.h>
#include <ekmotp/kdf.h>
#include <ekmotp/openssl.h>
#include <ekmotp/p11.h>
#include <ekmotp/verifier.h>
#include <string.h>

int main(void)
{
    return strcmp(ekmotp_profile_name(EKMOTP_PROFILE_V1), "v1") != 0 || ekmotp_jose_bearer() == NULL ||
           ekmotp_openssl_crypto() == NULL || ekmotp_gnutls_crypto() == NULL;
}
END
# Of the flags, those of our own packages: the system's need no prefix and no sysroot.
# shellcheck disable=SC2046 # the flags are words
cc -Wall -Werror -o "$tmp/stranger" "$tmp/stranger.c" -I"$root/include" -L"$root/lib" \
    $(PKG_CONFIG_SYSROOT_DIR='' pkg-config --libs-only-l ekmotp ekmotp-gnutls ekmotp-openssl ekmotp-jose \
        ekmotp-directory ekmotp-p11)
LD_LIBRARY_PATH=$root/lib "$tmp/stranger" || die "the stranger's program fails"

# Every header stands alone, in C and in C++.
for header in "$root"/include/ekmotp/*.h; do
    echo "#include <ekmotp/$(basename "$header")>" >"$tmp/alone.c"
    cc -Wall -Wextra -Werror -std=c11 -fsyntax-only -I"$root/include" "$tmp/alone.c"
    if command -v g++ >/dev/null; then
        g++ -Wall -Wextra -Werror -fsyntax-only -x c++ -I"$root/include" "$tmp/alone.c"
    fi
done
make -C "$build" uninstall DESTDIR="$dest" >"$tmp/uninstall.log" 2>&1
left=$(find "$dest" -type f | head -n 5)
same "files that uninstall left" "$left" ""
say "installs, exports, builds a stranger's program, uninstalls"

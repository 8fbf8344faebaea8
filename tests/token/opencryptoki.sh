#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# opencryptoki.sh: the row of opencryptoki's software token, with a daemon and a state of its own: in private
# mount, IPC and process namespaces, so that nothing of the system's is touched and nothing stays behind.
if [ -z "${EKMOTP_NAMESPACE-}" ]; then
    if ! command -v pkcsslotd >/dev/null || ! command -v pkcsconf >/dev/null; then
        echo "skipped: opencryptoki is not installed"
        exit 77
    fi
    unshare --mount --ipc --pid --fork true 2>/dev/null || {
        echo "skipped: pkcsslotd needs root and namespaces of its own"
        exit 77
    }
    EKMOTP_NAMESPACE=1 exec unshare --mount --ipc --pid --fork --kill-child --mount-proc "$0" "$@"
fi
# shellcheck source=tests/lib/test.sh
. "${srcdir:-.}/tests/lib/test.sh"
# shellcheck source=tests/token/rows.sh
. "$top_src/tests/token/rows.sh"

token_module=$(token_find libopencryptoki.so) || skip "libopencryptoki.so is not installed"
own_state()
{
    mount --make-rprivate / && cp -a /var/lib/opencryptoki "$tmp/state" &&
        mount --bind "$tmp/state" /var/lib/opencryptoki && mount -t tmpfs none /run && mount -t tmpfs none /dev/shm
}
own_state || skip "no file systems of our own"
rm -rf "$tmp"/state/*/TOK_OBJ/* "$tmp"/state/*/*.DAT
mkdir -p /run/lock/opencryptoki/swtok /run/opencryptoki
chgrp -R pkcs11 /run/lock/opencryptoki
chmod -R 770 /run/lock/opencryptoki
pkcsslotd >"$tmp/slotd.log" 2>&1 || skip "pkcsslotd does not start: $(cat "$tmp/slotd.log")"

row_files 123456
wait_for 10 pkcsconf -t
slot=$(pkcsconf -s | sed -n 's/^Slot #\([0-9]*\) Info$/\1/p' | head -n 1)
printf 'row\n' | pkcsconf -I -c "$slot" -S 87654321 >"$tmp/init.log" 2>&1 || skip "pkcsconf -I: $(cat "$tmp/init.log")"
pkcsconf -P -c "$slot" -S 87654321 -n 76543210 >>"$tmp/init.log" 2>&1 || die "pkcsconf -P: $(cat "$tmp/init.log")"
pkcsconf -u -c "$slot" -S 76543210 -n 123456 >>"$tmp/init.log" 2>&1 || die "pkcsconf -u: $(cat "$tmp/init.log")"
# What the module has from OpenSSL it does not give back.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0
row_path='pkcs11:token=row'
row_query="module-path=$token_module"
row_all

say "three wrong PINs lock it; the flags warn, and a locked token gets no PIN"
row_says -47 PIN_FILE="$tmp/wrong" "$(row_uri k-sha256)"
row_says -47 PIN_FILE="$tmp/wrong" "$(row_uri k-sha256)"
row_says -47 PIN_FILE="$tmp/wrong" "$(row_uri k-sha256)"
row_says -48 X=x "$(row_uri k-sha256)"

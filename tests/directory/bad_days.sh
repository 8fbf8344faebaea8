#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# bad_days.sh: the disk is full, the file is locked, read-only, cut off, somebody else's; the key is gone.
# Each is an error that says so, and the directory stays as it was.
#
# shellcheck source=tests/lib/test.sh
. "${srcdir:-.}/tests/lib/test.sh"
# shellcheck source=tests/directory/common.sh
. "$top_src/tests/directory/common.sh"

good add alice --out "$tmp/alice.key"
good add bob --out "$tmp/bob.key"
good list --json
cp "$tmp/out.log" "$tmp/list"
unchanged()
{
    good list --json
    cmp "$tmp/out.log" "$tmp/list" || die "the directory has changed: $*"
    good check
}

# ---- locked by another program; the lock holder says when it has it, and ends when we say so ----
mkfifo "$tmp/held" "$tmp/release"
python3 - "$db" "$tmp/held" "$tmp/release" <<'END' &
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN EXCLUSIVE")
open(sys.argv[2], "w").write("held")
open(sys.argv[3]).read()
END
test_pids+=("$!")
read -r -N 4 <"$tmp/held"
"$EKMOTPD" client list --directory "$db" >"$tmp/reader.log" 2>&1 </dev/null &
reader=$!
bad 1 'another program holds it locked .*fuser' add carol --out "$tmp/carol.key"
[ ! -e "$tmp/carol.key" ] || die "a key was handed over"
rc=0
wait "$reader" || rc=$?
same "list while it is locked" "$rc" 1
has "$tmp/reader.log" 'another program holds it locked'
echo >"$tmp/release"
unchanged "after a lock"

# ---- the disk is full: a small file system where we may mount one, else a limit on the size of files ----
full()
{
    # shellcheck disable=SC2016 # the inner shell expands
    if [ "$(id -u)" -eq 0 ] && unshare -m true 2>/dev/null; then
        mkdir -p "$tmp/small"
        unshare -m bash -c '
            set -eu
            mount -t tmpfs -o size=256k none "$1/small"
            cp "$1/clients.db" "$1/clients.db.kek" "$1/small"
            rc=0
            "${@:2}" --directory "$1/small/clients.db" >"$1/out.log" 2>"$1/err.log" </dev/null || rc=$?
            cp "$1/small/clients.db" "$1/after.db"
            [ ! -e "$1/small/clients.db-journal" ] || cp "$1/small/clients.db-journal" "$1/after.db-journal"
            exit "$rc"' - "$tmp" "$@"
    else
        cp "$db" "$tmp/after.db"
        cp "$db.kek" "$tmp/after.db.kek"
        (
            trap '' XFSZ
            ulimit -f 64
            "$@" --directory "$tmp/after.db" >"$tmp/out.log" 2>"$tmp/err.log" </dev/null
        )
    fi
}
(umask 077 && for ((i = 0; i < 3000; i++)); do
    echo "full-$i AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
done >"$tmp/many")
exits 1 full "$EKMOTPD" client import "$tmp/many"
has "$tmp/err.log" 'disk is full|disk I/O error'
cp "$db.kek" "$tmp/after.db.kek"
on "$tmp/after.db" unchanged "on a full disk"

# ---- read-only: for root nothing is, so as somebody else ----
if [ "$(id -u)" -eq 0 ]; then
    other() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
else
    other() { "$@"; }
fi
if other test -x "$EKMOTPD" && other "$EKMOTPD" version >/dev/null 2>&1; then
    mkdir "$tmp/ro"
    cp "$db" "$db.kek" "$tmp/ro"
    [ "$(id -u)" -ne 0 ] || chown -R 65534 "$tmp/ro"
    chmod 755 "$tmp"
    chmod 400 "$tmp/ro/clients.db" "$tmp/ro/clients.db.kek"
    chmod 500 "$tmp/ro"
    at_exit chmod 700 "$tmp/ro"
    cp "$tmp/list" "$tmp/ro-list"
    chmod 644 "$tmp/ro-list"
    other "$EKMOTPD" client list --json --directory "$tmp/ro/clients.db" >"$tmp/out.log"
    cmp "$tmp/out.log" "$tmp/list"
    exits 1 other "$EKMOTPD" client disable alice --directory "$tmp/ro/clients.db" 2>"$tmp/err.log"
    err 'cannot be written'
    exits 1 other "$EKMOTPD" client add x --key-file - --directory "$tmp/ro/new.db" 2>"$tmp/err.log" </dev/zero
    err 'new.db.kek|too long|cannot be made'
    chmod 755 "$tmp/ro"
fi

# ---- cut off, empty, something else ----
cp "$db" "$tmp/whole.db"
head -c 6000 "$tmp/whole.db" >"$db"
bad 1 'damaged' list
bad 1 'damaged' add carol --out "$tmp/carol.key"
head -c 50 "$tmp/whole.db" >"$db"
bad 1 'damaged' list
echo 'no database' >"$db"
bad 1 'no directory' list
: >"$db"
bad 1 'is empty|there is no directory' list
cp "$tmp/whole.db" "$db"
unchanged "when it is back"
for command in list 'show alice' 'disable alice' check export; do
    # shellcheck disable=SC2086 # words
    on /dev/null bad 1 'is not a file' $command --kek "$db.kek"
done

# ---- the key-encryption key: gone, wrong, readable for others ----
mv "$db.kek" "$tmp/kek"
bad 1 'bring the file back, or name the key with --kek' list
bad 1 'bring the file back' add carol --out "$tmp/carol.key"
[ ! -e "$db.kek" ] || die "a new key was made for an old directory"
good list --kek "$tmp/kek"
random_key "$tmp/wrong"
for command in list 'show alice' 'disable alice' 'rotate alice --out '"$tmp/x.key" check export 'remove alice'; do
    # shellcheck disable=SC2086 # words
    bad 1 'is not the key-encryption key' $command --kek "$tmp/wrong"
done
chmod 644 "$tmp/kek"
bad 1 'chmod 600' list --kek "$tmp/kek"
chmod 600 "$tmp/kek"
mv "$tmp/kek" "$db.kek"
unchanged "after wrong keys"

# ---- killed at random points while keys are handed over: old or new, and never without its key ----
added=0
for ((i = 0; i < 60; i++)); do
    # In a shell of its own, which keeps its remark on the kill to itself.
    (timeout -s KILL "$(printf 0.%03d $((RANDOM % 120 + 1)))" "$EKMOTPD" client add "killed-$i" --directory "$db" \
        --out "$tmp/killed-$i.key" </dev/null || :) >/dev/null 2>&1
    if client show "killed-$i"; then
        added=$((added + 1))
        same "bytes of the key of killed-$i" "$(stat -c %s "$tmp/killed-$i.key")" 32
    else
        err 'there is no client'
    fi
done
say "$added of 60 were added before they were killed"
good check

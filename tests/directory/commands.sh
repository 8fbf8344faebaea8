#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# commands.sh: each "ekmotpd client" command: what it does, what it refuses.
#
# shellcheck source=tests/lib/test.sh
. "${srcdir:-.}/tests/lib/test.sh"
# shellcheck source=tests/directory/common.sh
. "$top_src/tests/directory/common.sh"

# ---- the first client makes the directory and its key, and the tool says so ----
bad 1 'there is no such directory.*client add' list
bad 2 'name a new file or a token for it with --out' add alice
[ ! -e "$db.kek" ] || [ -s "$db.kek" ] || die "half a key-encryption key"
good add alice --out "$tmp/alice.key"
good show alice
mode "$db" 600
mode "$db.kek" 600
mode "$tmp/alice.key" 600
same "key bytes" "$(stat -c %s "$tmp/alice.key")" 32
rm -f "$db" "$db.kek" "$tmp/alice.key"
good add alice --out "$tmp/alice.key"
out '^client alice: added$'
out "key is in .*/alice.key .*delete"
err 'made the directory'
err 'clients.db.kek \(mode 0600\).*Who has both files has every key; without it the directory is worth nothing'
good add bob --out "$tmp/bob.key" --hash sha-512 --note 'Bob, who says "hi"' --disabled --not-before 2026-01-02 \
    --not-after 2031-01-02T03:04:05Z --json
lacks "$tmp/err.log" made
json 'o["id"] == "bob" and o["state"] == "disabled" and o["hash"] == "SHA-512" and o["profiles"] == ["v1"]'
json 'o["keys"] == [{"role": "current", "source": "wrapped", "length": 64, "not_before": "2026-01-02T00:00:00Z",
      "not_after": "2031-01-02T03:04:05Z"}]'
json "o['note'] == 'Bob, who says \"hi\"'"
same "key bytes" "$(stat -c %s "$tmp/bob.key")" 64

# ---- an empty file that was there becomes private, or is refused ----
(umask 022 && : >"$tmp/empty.db")
mode "$tmp/empty.db" 644
on "$tmp/empty.db" good add alice --out "$tmp/empty.key"
err 'made the directory'
mode "$tmp/empty.db" 600
: >"$tmp/others.db"
if [ "$(id -u)" -eq 0 ]; then
    chown nobody "$tmp/others.db"
    chmod 600 "$tmp/others.db"
    on "$tmp/others.db" bad 1 'is empty and belongs to another user' add alice --out "$tmp/others.key"
    [ ! -s "$tmp/others.db" ] || die "a directory in another user's file"
    [ ! -e "$tmp/others.key" ] || die "a key was handed over for a client that was not added"
fi
chmod 640 "$db" # one that is in use keeps what its owner gave it
good add shared --out "$tmp/shared.key"
mode "$db" 640
chmod 600 "$db"
good remove shared

# ---- add: what it refuses ----
bad 1 'client alice is there already' add alice --out "$tmp/again.key"
[ ! -e "$tmp/again.key" ] || die "a key was handed over for a client that was not added"
cp "$tmp/alice.key" "$tmp/alice.copy"
bad 1 'exists already; it is not overwritten' add carol --out "$tmp/alice.key"
cmp "$tmp/alice.key" "$tmp/alice.copy"
bad 1 'there is no client carol' show carol
bad 1 'No such file' add carol --out "$tmp/nowhere/carol.key"
bad 1 'there is no client carol' show carol
ln -s "$tmp/target" "$tmp/link"
bad 1 'link' add carol --out "$tmp/link"
[ ! -e "$tmp/target" ] || die "wrote through a symbolic link"
random_key "$tmp/short" 31
bad 2 '31 bytes; 32 to 64 are allowed' add carol --key-file "$tmp/short"
random_key "$tmp/long" 65
bad 2 'too long' add carol --key-file "$tmp/long"
random_key "$tmp/open"
chmod 640 "$tmp/open"
bad 1 "chmod 600" add carol --key-file "$tmp/open"
bad 2 'only one of --generate' add carol --generate --derive
bad 2 '--generation goes with --derive' add carol --generation 2 --out "$tmp/x.key"
bad 2 'master key; name it with --master' add carol --derive
bad 2 "SHA-256 only" add carol --out "$tmp/x.key" --profile v1,compat-apikey --hash sha384
bad 2 '--hash:' add carol --out "$tmp/x.key" --hash md5
bad 2 '--profile:' add carol --out "$tmp/x.key" --profile v2
bad 2 '--not-after: .soon. is no time' add carol --out "$tmp/x.key" --not-after soon
bad 2 'is no time' add carol --out "$tmp/x.key" --not-after 2026-02-30
bad 2 'not-before lies after' add carol --out "$tmp/x.key" --not-after 2026-01-01 --not-before 2026-01-02
bad 2 'holds a PIN' add carol --token 'pkcs11:token=t;object=o?pin-value=1234'
bad 2 'start with pkcs11:' add carol --token file:x
bad 2 'cannot be written to --out' add carol --token pkcs11:object=o --out "$tmp/x.key"
bad 2 'two hex digits' add 'car%ol' --out "$tmp/x.key"
bad 2 'ID is missing' add --out "$tmp/x.key"
bad 2 'no place for' add a b --out "$tmp/x.key"
bad 2 'unrecognized option' add carol --frobnicate
exits 2 "$EKMOTPD" client add x --out "$tmp/x.key" 2>"$tmp/err.log"
err '--directory FILE is missing'
exits 2 "$EKMOTPD" client 2>"$tmp/err.log"
exits 2 "$EKMOTPD" client frobnicate 2>"$tmp/err.log"
err "no command 'frobnicate'"
[ ! -e "$tmp/x.key" ] || die "a refused command left a key"
good add short --key-file "$tmp/short" --profile compat-apikey
bad 2 '31 bytes' set short --profile v1

# ---- ids with odd bytes ----
good add 'a%20b%0A%FF%25' --out "$tmp/odd.key"
good list
out '^a%20b%0A%FF%25 '
good show 'a%20b%0a%ff%25' --json
json 'o["id"] == "a%20b%0A%FF%25"'
good remove 'a%20b%0A%FF%25'

# ---- list: filters and pages ----
for n in 1 2 3 4 5; do
    good add "page-$n" --key-file "$tmp/alice.key"
done
good disable page-3 --json
json 'o["state"] == "disabled"'
good list --json
json '[c["id"] for c in o["clients"]] == ["alice", "bob", "page-1", "page-2", "page-3", "page-4", "page-5", "short"]'
json 'o["next"] is None'
good list --json --match 'page-*' --limit 2
json '[c["id"] for c in o["clients"]] == ["page-1", "page-2"] and o["next"] == "page-2"'
good list --json --match 'page-*' --limit 2 --after page-2
json '[c["id"] for c in o["clients"]] == ["page-3", "page-4"] and o["next"] == "page-4"'
good list --json --match 'page-*' --limit 2 --offset 4
json '[c["id"] for c in o["clients"]] == ["page-5"] and o["next"] is None'
good list --json --match 'nobody'
json 'o["clients"] == []'
good list --state disabled
same "disabled clients" "$(grep -c ' disabled ' "$tmp/out.log")" 2
good list --limit 1
err "next page: --after 'alice'"
good list --state enabled --match page-3
same "lines" "$(wc -l <"$tmp/out.log")" 0
bad 2 'neither enabled nor disabled' list --state on
bad 2 'is no number' list --limit -1
bad 2 'is no number' list --limit 1x

# ---- set, enable ----
good enable page-3
good show page-3
out '^state +enabled$'
bad 2 'nothing to set' set page-3
good set page-3 --note 'n' --not-after @2000000000 --profile v1,compat-jws
good show page-3 --json
json 'o["note"] == "n" and o["profiles"] == ["v1", "compat-jws"]'
json 'o["keys"][0]["not_after"] == "2033-05-18T03:33:20Z"'
good set page-3 --note '' --not-after none
good show page-3 --json
json 'o["note"] == "" and o["keys"][0]["not_after"] is None and o["profiles"] == ["v1", "compat-jws"]'
bad 2 'control characters' set page-3 --note $'a\033[31m'
bad 1 'there is no client nobody' set nobody --note x
bad 1 'there is no client nobody' disable nobody
bad 1 'there is no client nobody' enable nobody

# ---- rotate, finish-rotation ----
good rotate alice --out "$tmp/alice-2.key" --overlap 2d --json
json 'len(o["keys"]) == 2 and o["keys"][1]["role"] == "previous" and o["keys"][1]["not_after"] is not None'
fails cmp -s "$tmp/alice.key" "$tmp/alice-2.key"
bad 2 'last rotation is not finished' rotate alice --out "$tmp/alice-3.key"
[ ! -e "$tmp/alice-3.key" ] || die "a key was handed over without a rotation"
good finish-rotation alice
bad 2 'no rotation to finish' finish-rotation alice
good rotate alice --key-file "$tmp/alice.key" --overlap 0s
bad 2 '--overlap: .7. is no duration' rotate alice --out "$tmp/x.key" --overlap 7
bad 2 'name a new file' rotate bob
bad 1 'there is no client nobody' rotate nobody --out "$tmp/x.key"
good rotate bob --out "$tmp/bob-2.key"
same "key bytes follow the hash" "$(stat -c %s "$tmp/bob-2.key")" 64

# ---- derived keys ----
random_key "$tmp/master"
random_key "$tmp/other-master"
good add dora --derive --master "$tmp/master" --out "$tmp/dora.key"
good show dora
out 'derived, generation 1, 32 bytes'
good rotate dora --master "$tmp/master" --out "$tmp/dora-2.key"
good show dora
out '^key +derived, generation 2'
out '^previous +derived, generation 1'
fails cmp -s "$tmp/dora.key" "$tmp/dora-2.key"
good remove dora
bad 2 'generation 2 was used before; the next one is 3' add dora --derive --master "$tmp/master" --generation 2
good add dora --derive --master "$tmp/master"
good show dora
out 'generation 3'
# Another directory with the same master makes the same key.
on "$tmp/second.db" good add dora --derive --master "$tmp/master" --out "$tmp/dora-b.key"
on "$tmp/third.db" good add dora --derive --master "$tmp/other-master" --out "$tmp/dora-c.key"
fails cmp -s "$tmp/dora.key" "$tmp/dora-c.key"
cmp "$tmp/dora.key" "$tmp/dora-b.key"
bad 1 '1 fault found' check
out 'client dora: .*--master'
bad 1 'the key that --master names is not the one' add dora2 --derive --master "$tmp/other-master"
good check --master "$tmp/master"
out 'sound, [0-9]+ clients'

# ---- remove ----
good remove dora --json
json 'o == {"id": "dora", "removed": True}'
bad 1 'there is no client dora' remove dora

# ---- help teaches, and every command has it ----
for command in add list show set disable enable rotate finish-rotation remove import export check; do
    "$EKMOTPD" client "$command" --help >"$tmp/out.log"
    out '--directory=FILE'
    out "Usage: ekmotpd client $command"
    "$EKMOTPD" client --help >"$tmp/out.log"
    out "^  $command "
done
# No command prints a key.
same "output that cannot be written is an error" "$("$EKMOTPD" client list --directory "$db" 2>/dev/null >/dev/full || echo "$?")" 1

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# transfer.sh: "ekmotpd client" import and export.
#
# shellcheck source=tests/lib/test.sh
. "${srcdir:-.}/tests/lib/test.sh"
# shellcheck source=tests/directory/common.sh
. "$top_src/tests/directory/common.sh"

key() { head -c "${1:-32}" /dev/urandom | base64 -w 0; }

# lines FILE LINE...: an import file.
lines()
{
    local file=$1
    shift
    (umask 077 && printf '%s\n' "$@" >"$file")
}

# ---- all of it ----
lines "$tmp/in" "one $(key)" "" "two%20x	$(key 64)" "three $(key)"$'\r'
good import "$tmp/in" --note batch --not-after +30d
out '^3 clients imported$'
good list --json
json '[c["id"] for c in o["clients"]] == ["one", "three", "two%20x"]'
json 'all(c["note"] == "batch" and c["keys"][0]["not_after"] for c in o["clients"])'
lines "$tmp/in" "four $(key 10)"
good import - --profile compat-apikey --json
json 'o == {"imported": 0}'
rc=0
"$EKMOTPD" client import - -d "$db" --profile compat-apikey --json <"$tmp/in" >"$tmp/out.log" 2>"$tmp/err.log" || rc=$?
same "import from standard input" "$rc" 0
json 'o == {"imported": 1}'

# A byte order mark is no part of the first id.
lines "$tmp/in" $'\xef\xbb\xbf'"marked $(key)"
good import "$tmp/in"
good remove marked

# ---- or nothing: the bad line is named ----
before=$(sha256sum <"$db")
refused()
{
    local status=$1 words=$2
    shift 2
    lines "$tmp/in" "$@"
    bad "$status" "$tmp/in: $words" import "$tmp/in"
    lacks "$tmp/err.log" "$(printf '%s' "${*: -1}" | cut -d' ' -f2 | head -c 20 | tr '+' '.')[^ ]{20}"
    good list
    lacks "$tmp/out.log" '^five '
}
refused 2 'line 2: the key is not base64' "five $(key)" "six bad!"
refused 2 'line 3: client six: the key has 31 bytes' "five $(key)" "" "six $(key 31)"
refused 2 'line 2: the key has more than 64' "five $(key)" "six $(key 66)"
refused 2 'line 2: a line is: ID, a space' "five $(key)" "six"
refused 2 "line 2: client id: '%' at byte 4" "five $(key)" "six% $(key)"
refused 1 'line 3: .*client five is there already' "five $(key)" "six $(key)" "five $(key)"
refused 1 'line 2: .*client one is there already' "five $(key)" "one $(key)"
refused 2 'line 2: is too long' "five $(key)" "six $(head -c 20000 /dev/zero | tr '\0' A)"
refused 2 'line 2: the exported record' "five $(key)" "six wrapped:AAAA"
# NUL bytes end no line, and what they are part of is not passed over.
for bytes in "\0five $(key)\n" "five $(key)\0 and more\n" '\0\0\0\0'; do
    # shellcheck disable=SC2059 # the format holds the bytes
    (umask 077 && printf "$bytes" >"$tmp/in")
    bad 2 "$tmp/in: line 1: holds a NUL byte" import "$tmp/in"
done
# SQLite may write its change counter back, but nothing else happened.
good check
same "clients" "$(sed -n 's/.*sound, \([0-9]*\) .*/\1/p' "$tmp/out.log")" 4
[ -n "$before" ]
lines "$tmp/in" "five $(key)"
chmod 644 "$tmp/in"
bad 1 "plain keys and others than you may read it; run: chmod 600" import "$tmp/in"
bad 1 'No such file' import "$tmp/nowhere"
mkdir "$tmp/folder"
bad 1 'folder' import "$tmp/folder"

# ---- export: only wrapped keys, to another directory with the same key-encryption key ----
good add alice --out "$tmp/alice.key"
good rotate alice --out "$tmp/alice-2.key"
good export --out "$tmp/export"
mode "$tmp/export" 600
same "lines" "$(wc -l <"$tmp/export")" 5
bad 1 'exists already; it is not overwritten' export --out "$tmp/export"
python3 - "$tmp/export" "$tmp/alice.key" "$tmp/alice-2.key" <<'END'
import base64, sys
text = open(sys.argv[1]).read()
raw = b"".join(base64.b64decode(line.split(" wrapped:")[1]) for line in text.splitlines())
for name in sys.argv[2:]:
    key = open(name, "rb").read()
    assert key[:8] not in raw and key[-8:] not in raw and base64.b64encode(key).decode()[:12] not in text
assert b"alice" in raw
END
good export --match 'alice' --json
json 'len(o["lines"]) == 1 and o["lines"][0].startswith("alice wrapped:")'
cp "$db.kek" "$tmp/new.db.kek"
good export --match '*'
cp "$tmp/out.log" "$tmp/stdout-export"
chmod 644 "$tmp/export" # wrapped: others may read it
on "$tmp/new.db" good import "$tmp/export"
out '^5 clients imported'
on "$tmp/new.db" good check
on "$tmp/new.db" good show alice --json
json 'len(o["keys"]) == 2'
on "$tmp/new.db" bad 1 'line 1: .*is there already' import "$tmp/stdout-export"
"$EKMOTPD" client list -d "$db" --json >"$tmp/list1"
"$EKMOTPD" client list -d "$tmp/new.db" --json >"$tmp/list2"
cmp "$tmp/list1" "$tmp/list2"
on "$tmp/foreign.db" bad 1 'line 1: .*another key-encryption key' import "$tmp/export"

# ---- many at once, with a progress bar on a terminal and none elsewhere ----
(umask 077 && python3 -c '
import base64, os
for i in range(5000):
    print("many-%05d %s" % (i, base64.b64encode(os.urandom(32)).decode()))' >"$tmp/many")
on "$tmp/many.db" good import "$tmp/many"
out '^5000 clients imported'
lacks "$tmp/err.log" '%'
on "$tmp/many.db" good list --match '*-04999'
out '^many-04999'
if script -qec true /dev/null >/dev/null 2>&1 </dev/null; then
    script -qec "'$EKMOTPD' client import '$tmp/many' -d '$tmp/bar.db'" /dev/null >"$tmp/bar.log" </dev/null
    has "$tmp/bar.log" '\[#+\] 100 %  5000 clients'
fi

# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# rows.sh: what every row of the token table must do, after tests/lib/test.sh and tests/lib/token.sh. A row
# makes its token, sets the variables, and calls row_all:
#   row_path    path part of the URI without the object ("pkcs11:token=row")
#   row_query   query part ("module-path=...")
#   row_hashes  hashes that the token has; the key for HASH is "k-HASH"
# PIN_FILE holds the right PIN, $tmp/key-HASH the bytes of each key, row_import NAME FILE HASH puts one in.

# What test.sh has set.
: "${top_src:?}" "${top_build:?}" "${tmp:?}"
# shellcheck source=tests/lib/token.sh
. "$top_src/tests/lib/token.sh"
at_exit tokens_stop

row=$top_build/tests/token/row
row_hashes="sha256 sha384 sha512"
row_path='' row_query='' row_pid=''

# What modules leak when they do not start is theirs.
printf '%s\n' leak:libtpm2_pkcs11 leak:libtss2 leak:libgio leak:libglib leak:libsoftokn3 >"$tmp/leaks"
export LSAN_OPTIONS=suppressions=$tmp/leaks:print_suppressions=0
# ThreadSanitizer does not see the locks of libraries that were built without it.
printf '%s\n' race:libtpm2_pkcs11 race:libtss2 race:libgio race:libglib race:libgobject race:libffi >"$tmp/races"
export TSAN_OPTIONS=suppressions=$tmp/races

# row_files PIN: the PIN's file, a wrong one, and the keys.
row_files()
{
    (
        umask 077
        printf '%s\n' "$1" >"$tmp/pin"
        printf '%s\n' "${1}9" >"$tmp/wrong"
        head -c 32 /dev/urandom >"$tmp/key-sha256"
        head -c 48 /dev/urandom >"$tmp/key-sha384"
        head -c 64 /dev/urandom >"$tmp/key-sha512"
    )
    export PIN_FILE=$tmp/pin
}

# row_uri NAME: the URI of a key.
row_uri()
{
    printf '%s;object=%s?%s\n' "$row_path" "$1" "$row_query"
}

# row_import NAME FILE HASH: through C_CreateObject. Rows that cannot define another.
row_import()
{
    "$row" import "$(row_uri "$1")" "$2" "$3" >"$tmp/import.log" 2>&1 ||
        die "importing $1: $(tail -n 2 "$tmp/import.log")"
}

# row_says EXPECTED ENVIRONMENT... URI: what "row open" answers begins with this.
row_says()
{
    local expected=$1 uri=${*: -1} got
    shift
    got=$(env "${@:1:$#-1}" "$row" open "$uri" 2>"$tmp/row.log")
    case $got in
        "$expected"*) say "as expected: $got" ;;
        *) die "row open '$uri': got '$got', expected '$expected'" ;;
    esac
}

# row_keys: a key for each hash.
row_keys()
{
    local hash
    for hash in $row_hashes; do
        row_import "k-$hash" "$tmp/key-$hash" "$hash"
    done
}

# row_all: the suite for each hash, then what must be refused.
row_all()
{
    local hash
    row_keys
    for hash in $row_hashes; do
        say "suite with $hash"
        "$row" suite "$(row_uri "k-$hash")" "$tmp/key-$hash" "$hash" >"$tmp/suite.log" 2>"$tmp/stderr.log" ||
            die "the suite with $hash: $(cat "$tmp/suite.log")"
        has "$tmp/suite.log" '^all right$'
    done
    row_refusals
}

row_refusals()
{
    row_says -44 X=x "$(row_uri none)"
    row_says -42 X=x "pkcs11:token=ekmotp-none;object=k-sha256?$row_query"
    row_says -46 -u PIN_FILE "$(row_uri k-sha256)"
    row_says "-47 token '" PIN_FILE="$tmp/wrong" "$(row_uri k-sha256)"
    # A URI that names two keys: none is used.
    row_import second "$tmp/key-sha256" sha256
    row_says -45 X=x "$row_path?$row_query"
    row_says opened X=x "$(row_uri second)"
}

# row_stream COUNT COMMAND: a stream of MACs; the command is run after each fifth of them with the number of the
# step (1 to 4); $row_pid is the process.
row_stream()
{
    local count=$1 command=$2 step=0 line
    mkfifo "$tmp/to" "$tmp/from"
    "$row" stream "$(row_uri k-sha256)" "$tmp/key-sha256" "$count" <"$tmp/to" >"$tmp/from" 2>"$tmp/stream.log" &
    row_pid=$!
    test_pids+=("$row_pid")
    exec 8>"$tmp/to" 9<"$tmp/from"
    while read -r -t 120 line <&9; do
        case $line in
            step)
                step=$((step + 1))
                say "step $step"
                # The stream goes on while it happens, up to the next step.
                "$command" "$step"
                echo >&8
                ;;
            *) break ;;
        esac
    done
    exec 8>&- 9<&-
    rm -f "$tmp/to" "$tmp/from"
    say "$line"
    case $line in
        "right $count wrong 0 "* | "right $((count + 1)) wrong 0 "* | "right $((count + 2)) wrong 0 "* | "right $((count + 3)) wrong 0 "*) ;;
        *) die "the stream ended with '$line': $(tail -n 5 "$tmp/stream.log")" ;;
    esac
}

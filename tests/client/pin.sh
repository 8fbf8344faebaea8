#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# pin.sh: where a PIN comes from, in which order, and what nobody else sees of it.
#
# shellcheck source=tests/lib/test.sh
. "${srcdir:-.}/tests/lib/test.sh"
# shellcheck source=tests/client/common.sh
. "$top_src/tests/client/common.sh"
# shellcheck source=tests/lib/token.sh
. "$top_src/tests/lib/token.sh"
need softhsm2-util p11tool setsid

umask 077
pin=secretAb3
printf '%s\n' "$pin" >"$tmp/pin"
printf 'wrong-pin\n' >"$tmp/wrong"
softhsm_token "$tmp/softhsm" here "$pin" || cannot "no SoftHSM token"
softhsm_import here "$pin" client1 "$tmp/key" || cannot "the key is not imported"
start_server server
url=https://localhost:$port/get
uri="pkcs11:token=here;object=client1?module-path=$token_module"
mkdir "$tmp/credentials"

# with ARGS...: options of a good request, without a terminal.
options=(--agent-program "$EKMOTP_AGENT")
with()
{
    good "${options[@]}" "$@" "$url"
    body ok
}
refused()
{
    bad 3 "$1" "${options[@]}" "${@:2}" "$url"
}

with --key "$uri" --pin-source "$tmp/pin"
with --key "$uri&pin-source=file:$tmp/pin"
printf '%s' "$pin" >"$tmp/no-line-end"
with --key "$uri" --pin-source "$tmp/no-line-end"
# --pin-source is asked before the URI, both before the credential.
with --key "$uri&pin-source=file:$tmp/wrong" --pin-source "$tmp/pin"
refused 'the PIN is refused' --key "$uri&pin-source=file:$tmp/pin" --pin-source "$tmp/wrong"
cp "$tmp/wrong" "$tmp/credentials/ekmotp.pin"
CREDENTIALS_DIRECTORY=$tmp/credentials with --key "$uri" --pin-source "$tmp/pin"
CREDENTIALS_DIRECTORY=$tmp/credentials with --key "$uri&pin-source=file:$tmp/pin"
CREDENTIALS_DIRECTORY=$tmp/credentials refused 'the PIN is refused' --key "$uri"
cp "$tmp/pin" "$tmp/credentials/ekmotp.pin"
CREDENTIALS_DIRECTORY=$tmp/credentials with --key "$uri"

# Bad files.
refused 'no-such-file.*No such file' --key "$uri" --pin-source "$tmp/no-such-file"
refused 'no-such-file.*No such file' --key "$uri&pin-source=file:$tmp/no-such-file"
: >"$tmp/empty"
refused 'empty' --key "$uri" --pin-source "$tmp/empty"
head -c 300 /dev/zero | tr '\0' 1 >"$tmp/long"
refused 'long|1 to 255' --key "$uri" --pin-source "$tmp/long"
cp "$tmp/pin" "$tmp/shared" && chmod 644 "$tmp/shared"
refused 'chmod 600' --key "$uri" --pin-source "$tmp/shared"
cp "$tmp/shared" "$tmp/credentials/ekmotp.pin" && chmod 644 "$tmp/credentials/ekmotp.pin"
CREDENTIALS_DIRECTORY=$tmp/credentials refused 'chmod 600' --key "$uri"
for content in '' '\n' '\r\n'; do
    # shellcheck disable=SC2059 # the format is the content
    printf "$content" >"$tmp/credentials/ekmotp.pin"
    chmod 600 "$tmp/credentials/ekmotp.pin"
    CREDENTIALS_DIRECTORY=$tmp/credentials refused 'is empty|1 to 255' --key "$uri"
done

# Nowhere to ask: no terminal, and a credentials folder without ours is none.
rm "$tmp/credentials/ekmotp.pin"
setsid -w env CREDENTIALS_DIRECTORY="$tmp/credentials" "$EKMOTP" request --id client1 "${options[@]}" --key "$uri" \
    --cacert "$ca" "$url" >"$tmp/body" 2>"$tmp/messages" </dev/null && die "a PIN from nowhere" || rc=$?
same "exit code" "$rc" 3
has "$tmp/messages" "wants a PIN and there is no terminal to ask on; use --pin-source"

# Nothing of it is printed, with -v neither.
good -v "${options[@]}" --key "$uri" --pin-source "$tmp/pin" "$url"
cat "$tmp/messages" "$tmp/body" "$tmp/report.json" >"$tmp/all"
lacks "$tmp/all" "$pin"

/usr/bin/python3 -c 'import os; os.openpty()' 2>/dev/null || {
    say "the prompt is left out: there are no terminals here"
    exit 0
}
# On a terminal: asked once, not echoed, and the terminal is as before, also after an interrupt.
prompt()
{
    /usr/bin/python3 "$top_src/tests/client/prompt.py" "$1" "$EKMOTP" request --id client1 "${options[@]}" \
        --key "$uri" --cacert "$ca" "$url" >"$tmp/terminal"
}
prompt "$pin\\n"
has "$tmp/terminal" "^PIN of token 'here': *$"
has "$tmp/terminal" '^exit 0 hidden=True echo=True$'
has "$tmp/terminal" '^ok$'
lacks "$tmp/terminal" "$pin"
prompt 'wrong-pin\n'
has "$tmp/terminal" '^exit 3 hidden=True echo=True$'
lacks "$tmp/terminal" wrong-pin
same "prompts" "$(grep -c 'PIN of token' "$tmp/terminal")" 1
prompt '\n'
has "$tmp/terminal" 'no PIN was typed'
has "$tmp/terminal" '^exit 3 hidden=True echo=True$'
prompt '\x04'
has "$tmp/terminal" 'no PIN was typed'
has "$tmp/terminal" '^exit 3 hidden=True echo=True$'
prompt '\x03'
has "$tmp/terminal" '^signal 2 hidden=True echo=True$'
prompt "$(printf '%0300d' 0)\\n"
has "$tmp/terminal" 'a PIN has 1 to 255 bytes'
has "$tmp/terminal" '^exit 3 hidden=True echo=True$'

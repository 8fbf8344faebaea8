#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# token.sh: keys in tokens that cannot be used: each a message that says what to do, exit code 3 (or 2 for a
# URI that is none), and no request.
#
# shellcheck source=tests/lib/test.sh
. "${srcdir:-.}/tests/lib/test.sh"
# shellcheck source=tests/client/common.sh
. "$top_src/tests/client/common.sh"
# shellcheck source=tests/lib/token.sh
. "$top_src/tests/lib/token.sh"
need softhsm2-util p11tool

umask 077
printf '1234\n' >"$tmp/pin"
printf '9999\n' >"$tmp/wrong"
softhsm_token "$tmp/softhsm" here 1234 || cannot "no SoftHSM token"
softhsm_import here 1234 client1 "$tmp/key" || cannot "the key is not imported"
start_server server
url=https://localhost:$port/get
module="module-path=$token_module"

# with STATUS REGEX URI ARGS...
with()
{
    bad "$1" "$2" --key "$3" --pin-source "$tmp/pin" --agent-program "$EKMOTP_AGENT" "${@:4}" "$url"
    body ""
}
good --key "pkcs11:token=here;object=client1?$module" --pin-source "$tmp/pin" --agent-program "$EKMOTP_AGENT" "$url"
mark server

with 3 "token 'here'.*PIN is refused.*not tried again" "pkcs11:token=here;object=client1?$module" --pin-source "$tmp/wrong"
with 3 "no token matches.*tokens that are there: 'here'" "pkcs11:token=there;object=client1?$module"
with 3 "has no secret key.*ekmotp key" "pkcs11:token=here;object=client2?$module"
with 3 'there is no such file.*ekmotp token list' 'pkcs11:token=here;object=client1?module-path=/no/such.so'
with 3 'no module is registered as module-name=nosuch' 'pkcs11:token=here;object=client1?module-name=nosuch'
printf 'not a module\n' >"$tmp/text.so"
with 3 'text.so' "pkcs11:token=here;object=client1?module-path=$tmp/text.so"
with 2 'a client key is a secret key' "pkcs11:token=here;object=client1;type=cert?$module"
with 2 'RFC 7512' "pkcs11:foo=bar?$module"
with 2 'RFC 7512' 'pkcs11:tok%4'

# Two of anything: none is chosen, and no PIN is sent.
softhsm_import here 1234 client1 "$tmp/key" || cannot "the key is not imported twice"
with 3 "2 keys match.*none was used" "pkcs11:token=here;object=client1?$module"
softhsm_token "$tmp/softhsm" here 1234 || cannot "no second SoftHSM token"
with 3 "2 tokens match.*no PIN was sent to any" "pkcs11:token=here;object=client1?$module"
with 3 "2 tokens match.*no PIN was sent to any" "pkcs11:object=client1?$module"

# A key that is not this client's is the server's to refuse.
softhsm_token "$tmp/softhsm" other 1234 || cannot "no third SoftHSM token"
head -c 32 /dev/urandom >"$tmp/other.key"
softhsm_import other 1234 client1 "$tmp/other.key" || cannot "the key is not imported"
same "requests" "$(requests server 1)" ""
bad 5 'refused .401.*wrong key' --key "pkcs11:token=other;object=client1?$module" --pin-source "$tmp/pin" \
    --agent-program "$EKMOTP_AGENT" "$url"

# An agent that cannot do its work.
printf '#!/bin/sh\nexit 0\n' >"$tmp/ends" && printf '#!/bin/sh\necho hello; sleep 60\n' >"$tmp/chats"
chmod 700 "$tmp/ends" "$tmp/chats"
for program in ends chats; do
    with 3 'agent' "pkcs11:token=other;object=client1?$module" --agent-program "$tmp/$program"
done

# A shared agent: by option, by environment, and gone.
background "$tmp/agent.log" "$EKMOTP_AGENT" --socket "$tmp/agent/socket"
agent=$background_pid
wait_for 20 test -S "$tmp/agent/socket"
shared="pkcs11:token=other;object=client1?$module"
bad 5 'refused .401.*wrong key' --key "$shared" --pin-source "$tmp/pin" --agent "$tmp/agent/socket" "$url"
EKMOTP_AGENT_SOCK=$tmp/agent/socket bad 5 'refused .401' --key "$shared" --pin-source "$tmp/pin" "$url"
# It makes MACs of v1's messages only, unless it was told otherwise.
bad 3 'policy|allow' --key "$shared" --pin-source "$tmp/pin" --agent "$tmp/agent/socket" --profile compat-apikey "$url"
stop "$agent" || :
bad 3 'agent' --key "$shared" --pin-source "$tmp/pin" --agent "$tmp/agent/socket" "$url"

for program in swtpm tpm2_ptool tpm2-abrmd dbus-daemon; do
    command -v "$program" >/dev/null || { say "the TPM part is left out: $program is not installed" && exit 0; }
done
at_exit tokens_stop
tpm_all "$tmp/tpm" tpm 1234 || cannot "no TPM token"
tpm_import tpm 1234 client1 "$tmp/key" || cannot "the key is not imported into the TPM"
uri="pkcs11:token=tpm;object=client1?module-path=$token_module"
good --key "$uri" --pin-source "$tmp/pin" --agent-program "$EKMOTP_AGENT" "$url"
body ok
with 3 "PIN is refused" "$uri" --pin-source "$tmp/wrong"
# A TPM that is down: an error in bounded time, not a client that hangs.
tpm_manager_kill
tpm_kill
start=$SECONDS
with 3 'token|module|TPM|answer' "$uri"
[ $((SECONDS - start)) -lt 45 ] || die "it took $((SECONDS - start)) s to see that the TPM is down"

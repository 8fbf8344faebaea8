#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# tpm.sh: the agent over a TPM that stops, and over a TPM and a resource manager that are killed in the middle
# of 1,000 MACs from 4 threads. The TPM's lockout counter must not grow by our doing.
#
# shellcheck source=tests/lib/test.sh
. "${srcdir:-.}/tests/lib/test.sh"
# shellcheck source=tests/agent/lib.sh
. "$top_src/tests/agent/lib.sh"
# shellcheck source=tests/lib/token.sh
. "$top_src/tests/lib/token.sh"
need swtpm tpm2-abrmd tpm2_ptool tpm2_getcap dbus-daemon openssl
token_find libtpm2_pkcs11.so >/dev/null || skip "tpm2-pkcs11 is not installed"

at_exit tokens_stop
mkdir "$tmp/tpm"
tpm_all "$tmp/tpm" agent 24680135
head -c 32 /dev/urandom >"$tmp/key"
tpm_import agent 24680135 k "$tmp/key"
(umask 077 && echo 24680135 >"$tmp/pin")
export PIN_FILE=$tmp/pin
uri="pkcs11:token=agent;object=k?module-path=$token_module"
agent=spawn:$EKMOTP_AGENT
before=$(tpm_lockout_counter)

same mac "$("$driver" "$agent" mac "$uri" 00)" "$(mac_of "$tmp/key" 00)"

# The TPM stops. Callers get their errors in the time that they set, not a pile of blocked threads; when the TPM
# goes on, so do they.
TIMEOUT=5000 STATUS=$tmp/status background "$tmp/stopped.log" "$driver" "$agent" stream "$uri" 4 300 "$tmp/key" 55
stream=$background_pid
wait_for 20 test -s "$tmp/status"
sleep 0.3
kill -STOP "$tpm_pid"
sleep 9 # how long it is stopped
kill -CONT "$tpm_pid"
rc=0
wait "$stream" || rc=$?
same "status of the stream while the TPM was stopped" "$rc" 0
has "$tmp/stopped.log" '^right 300 wrong 0 failed [1-9]'
has "$tmp/stopped.log" ' of -50: '
longest=$(sed -n 's/.*longest //p' "$tmp/stopped.log")
[ "$longest" -lt 6000 ] || die "a caller waited $longest ms where 5000 were allowed"
same "lockout counter after the stop" "$(tpm_lockout_counter)" "$before"

# A wrong PIN costs one try.
echo 00000000 >"$tmp/pin"
exits 1 "$driver" "$agent" mac "$uri" 00 >"$tmp/out"
has "$tmp/out" '^error -47 '
same "lockout counter after a wrong PIN" "$(tpm_lockout_counter)" $((before + 1))
echo 24680135 >"$tmp/pin"
before=$((before + 1))

# The resource manager is killed and comes back.
rm "$tmp/status"
STATUS=$tmp/status background "$tmp/manager.log" "$driver" "$agent" stream "$uri" 4 1000 "$tmp/key" 55
stream=$background_pid
wait_for 20 test -s "$tmp/status"
sleep 0.5
tpm_manager_kill
tpm_manager_start "$tmp/tpm"
rc=0
wait "$stream" || rc=$?
same "status of the stream while tpm2-abrmd was restarted" "$rc" 0
has "$tmp/manager.log" '^right 1000 wrong 0 failed'
same "lockout counter after tpm2-abrmd" "$(tpm_lockout_counter)" "$before"

# The TPM itself is killed and started again, and its resource manager with it. An unclean end of a TPM counts once
# towards its lockout; nothing that the agent does may add to that.
rm "$tmp/status"
STATUS=$tmp/status background "$tmp/tpm.log" "$driver" "$agent" stream "$uri" 4 1000 "$tmp/key" 55
stream=$background_pid
wait_for 20 test -s "$tmp/status"
sleep 0.5
tpm_kill
tpm_manager_kill
tpm_start "$tmp/tpm"
tpm_manager_start "$tmp/tpm"
rc=0
wait "$stream" || rc=$?
same "status of the stream while the TPM was restarted" "$rc" 0
has "$tmp/tpm.log" '^right 1000 wrong 0 failed'
counter=$(tpm_lockout_counter)
[ "$counter" -le $((before + 1)) ] || die "the lockout counter went from $before to $counter"
cat "$tmp"/*.log

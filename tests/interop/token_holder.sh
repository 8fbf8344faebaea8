#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# token_holder.sh KIND FOLDER BUILD: makes a token that lives until standard input ends. It holds two keys for
# each hash, which lie in FOLDER as well: client-256, other-256, client-384 ... Prints lines "env NAME=VALUE",
# "agent SOCKET" where a shared agent serves the token, "uri URI" (a key's name takes the place of %s), and
# "ready"; or "absent WHY".
set -eu -o pipefail
kind=$1 dir=$2 build=$3
case $kind in nss | opencryptoki | remote) private=1 ;; *) private= ;; esac
absent()
{
    echo "absent $*"
    exit 0
}

need()
{
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null || absent "$program is not installed"
    done
}

# Their modules stand in p11-kit's configuration, and pkcsslotd is one for the whole system: in namespaces of our
# own, whose agent the clients reach through its socket.
if [ -n "$private" ] && [ -z "${EKMOTP_NAMESPACE-}" ]; then
    [ "$kind" != opencryptoki ] || need pkcsslotd pkcsconf
    unshare --mount --ipc --pid --fork true 2>/dev/null || absent "$kind needs root and namespaces of its own"
    EKMOTP_NAMESPACE=1 exec unshare --mount --ipc --pid --fork --kill-child --mount-proc "$0" "$@"
fi
# shellcheck source=tests/lib/token.sh
. "$(dirname "$0")/../lib/token.sh"
trap tokens_stop EXIT

umask 077
mkdir -p "$dir"
echo 123456 >"$dir/pin"
declare -A size=([256]=32 [384]=48 [512]=64)
for bits in 256 384 512; do
    head -c "${size[$bits]}" /dev/urandom >"$dir/client-$bits"
    head -c "${size[$bits]}" /dev/urandom >"$dir/other-$bits"
done
keys="client-256 other-256 client-384 other-384 client-512 other-512"
path=pkcs11:token=matrix
env_names=()

# own_modules LINE...: p11-kit knows this module and no other.
own_modules()
{
    local folder
    mkdir -p "$dir/modules" "$dir/none"
    printf '%s\n' "$@" >"$dir/modules/$kind.module"
    mkdir -p /etc/pkcs11/modules
    for folder in /usr/share/p11-kit/modules /usr/lib/*/pkcs11-modules; do
        [ ! -d "$folder" ] || mount --bind "$dir/none" "$folder"
    done
    mount --bind "$dir/modules" /etc/pkcs11/modules || absent "no file systems of our own"
}

# serve_all: the agent, and every key through it.
serve_all()
{
    local key
    "$build/p11/agent/ekmotp-agent" --socket "$dir/agent" --allow-compat >"$dir/agent.log" 2>&1 </dev/null &
    token_wait 10 test -S "$dir/agent" || absent "the agent does not start: $(tail -n 1 "$dir/agent.log")"
    for key in $keys; do
        token_log "$dir/import.log" "$build/client/ekmotp" key import --agent "$dir/agent" --hash "sha${key#*-}" \
            --from "$dir/$key" "$path;object=$key?module-name=$kind&pin-source=file:$dir/pin"
    done
}

# slotd: opencryptoki's daemon, with a state of its own.
slotd()
{
    cp -a /var/lib/opencryptoki "$dir/state" && mount --bind "$dir/state" /var/lib/opencryptoki &&
        mount -t tmpfs none /run && mount -t tmpfs none /dev/shm || absent "no file systems of our own"
    rm -rf "$dir"/state/*/TOK_OBJ/* "$dir"/state/*/*.DAT
    mkdir -p /run/lock/opencryptoki/swtok /run/opencryptoki
    chgrp -R pkcs11 /run/lock/opencryptoki
    chmod -R 770 /run/lock/opencryptoki
    pkcsslotd >"$dir/slotd.log" 2>&1 || absent "pkcsslotd does not start: $(tail -n 1 "$dir/slotd.log")"
    token_wait 10 pkcsconf -t || absent "pkcsslotd does not serve"
    local slot
    slot=$(pkcsconf -s | sed -n 's/^Slot #\([0-9]*\) Info$/\1/p' | head -n 1)
    {
        printf 'matrix\n' | pkcsconf -I -c "$slot" -S 87654321
        pkcsconf -P -c "$slot" -S 87654321 -n 76543210
        pkcsconf -u -c "$slot" -S 76543210 -n 123456
    } >"$dir/slots.log" 2>&1
}

case $kind in
    softhsm)
        need softhsm2-util p11tool
        softhsm_token "$dir/token" matrix 123456
        for key in $keys; do
            softhsm_import matrix 123456 "$key" "$dir/$key"
        done
        env_names=(SOFTHSM2_CONF)
        ;;
    tpm)
        need swtpm tpm2-abrmd tpm2_ptool dbus-daemon
        tpm_all "$dir/token" matrix 123456
        for key in $keys; do
            tpm_import matrix 123456 "$key" "$dir/$key" "sha${key#*-}"
        done
        env_names=(TPM2_PKCS11_STORE TPM2_PKCS11_TCTI TPM2_PKCS11_LOG_LEVEL TSS2_LOG DBUS_SESSION_BUS_ADDRESS)
        ;;
    nss)
        need certutil
        token_module=$(token_find libsoftokn3.so) || absent "libsoftokn3.so is not installed"
        mkdir "$dir/db"
        token_log "$dir/certutil.log" certutil -N -d "sql:$dir/db" -f "$dir/pin"
        own_modules "module: $token_module" \
            "x-init-reserved: configdir='sql:$dir/db' certPrefix='' keyPrefix='' secmod='secmod.db' flags="
        path=pkcs11:token=NSS%20Certificate%20DB
        serve_all
        ;;
    opencryptoki)
        token_module=$(token_find libopencryptoki.so) || absent "libopencryptoki.so is not installed"
        slotd
        own_modules "module: $token_module"
        serve_all
        ;;
    remote)
        need softhsm2-util p11-kit
        softhsm_token "$dir/token" matrix 123456
        own_modules "remote: |p11-kit remote $token_module"
        serve_all
        ;;
    *) absent "there is no token of kind $kind" ;;
esac
for name in ${env_names[@]+"${env_names[@]}"}; do
    printf 'env %s=%s\n' "$name" "${!name}"
done
# A key's name takes the place of %s.
uri="$path;object=%s;type=secret-key?"
if [ -n "$private" ]; then
    printf 'agent %s\nuri %smodule-name=%s&pin-source=file:%s\nready\n' "$dir/agent" "$uri" "$kind" "$dir/pin"
else
    printf 'uri %smodule-path=%s&pin-source=file:%s\nready\n' "$uri" "$token_module" "$dir/pin"
fi
cat >/dev/null

# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# token.sh: real tokens for tests and the demo, each in a folder of its own. Needs bash and "set -e" or the
# caller's own checks: a function that fails says why on standard error and returns 1. Sourced alone, or
# after test.sh.
#
#   softhsm_token DIR LABEL PIN              a SoftHSM token; exports SOFTHSM2_CONF, sets $token_module
#   softhsm_import LABEL PIN NAME FILE       puts the key bytes of FILE in as a private, sensitive key NAME
#                                            (padded with zeros to 32 bytes)
#
#   tpm_start DIR                            a software TPM (swtpm) that keeps its state in DIR; sets
#                                            $tpm_pid and $tpm_tcti; starting it again after tpm_kill works
#   tpm_kill [SIGNAL]                        ends it (KILL unless told otherwise), and waits until it is gone
#   tpm_manager_start DIR                    a private D-Bus ($tpm_bus_pid) and tpm2-abrmd ($tpm_manager_pid)
#                                            on it, in front of the TPM; exports DBUS_SESSION_BUS_ADDRESS,
#                                            sets $tpm_manager_tcti
#   tpm_manager_kill [SIGNAL]                ends tpm2-abrmd; tpm_manager_start starts it again on the same bus
#   tpm_use TCTI                             exports TPM2TOOLS_TCTI, TPM2_PKCS11_TCTI, TPM2OPENSSL_TCTI
#   tpm_token DIR LABEL PIN                  a tpm2-pkcs11 token in the store DIR; exports TPM2_PKCS11_STORE,
#                                            sets $token_module. The TPM's resource manager must be in use
#   tpm_import LABEL PIN NAME FILE [HASH]    imports the key bytes of FILE (1 to 64) under NAME; HASH is
#                                            sha256 (the default), sha384 or sha512
#   tpm_lockout_counter                      prints TPM2_PT_LOCKOUT_COUNTER as a decimal number
#
#   tpm_all DIR LABEL PIN                    start, manager, use, token in one: what most callers want
#   tokens_stop                              ends every process that these functions started; call it at the
#                                            end, in a trap
#
# $token_module is the path of the PKCS#11 module, for "module-path=" of a URI.

# More options for swtpm, for callers that want its log of commands.
token_swtpm_options=()
# The callers read these.
# shellcheck disable=SC2034
tpm_pid='' tpm_tcti='' tpm_bus_pid='' tpm_manager_pid='' tpm_manager_tcti='' token_module=''

token_fails()
{
    printf 'token.sh: %s\n' "$*" >&2
    return 1
}

# token_find NAME: the path of a PKCS#11 module, wherever the distribution keeps it.
token_find()
{
    local dir
    for dir in /usr/lib/*/pkcs11 /usr/lib64/pkcs11 /usr/lib/pkcs11 /usr/lib/softhsm /usr/lib/*/softhsm \
        /usr/lib64/softhsm /usr/lib/*/opencryptoki /usr/lib/* /usr/lib64; do
        if [ -e "$dir/$1" ]; then
            printf '%s\n' "$dir/$1"
            return 0
        fi
    done
    token_fails "$1 is not installed"
}

# token_wait SECONDS COMMAND...: runs the command until it succeeds.
token_wait()
{
    local deadline=$(($(date +%s) + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$(date +%s)" -lt "$deadline" ] || return 1
        sleep 0.05
    done
}

# token_log FILE COMMAND...: runs the command; if it fails, says so with the end of its output.
token_log()
{
    local log=$1
    shift
    "$@" >"$log" 2>&1 </dev/null || token_fails "$1 $2: $(tail -n 3 "$log" | tr '\n' ' ')"
}

# token_end PID SIGNAL: ends a process and waits until it is gone.
token_end()
{
    [ -n "$1" ] || return 0
    kill "-$2" "$1" 2>/dev/null || :
    # A stopped process takes no TERM; SIGKILL it takes.
    if ! token_wait 10 token_gone "$1"; then
        kill -KILL "$1" 2>/dev/null || :
    fi
    wait "$1" 2>/dev/null || :
}

token_gone()
{
    local state
    state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null) || return 0
    [ -z "$state" ] || [ "$state" = Z ]
}

# token_hex FILE WIDTH: the bytes of FILE in hexadecimal, padded with zeros to WIDTH bytes.
token_hex()
{
    local hex
    hex=$(od -An -v -tx1 "$1" | tr -d ' \n')
    while [ "${#hex}" -lt $((2 * $2)) ]; do
        hex=${hex}00
    done
    printf '%s' "$hex"
}

softhsm_token()
{
    local dir=$1 label=$2 pin=$3
    token_module=$(token_find libsofthsm2.so) || return 1
    mkdir -p "$dir/tokens"
    if [ ! -f "$dir/softhsm2.conf" ]; then
        printf '%s\n' "directories.tokendir = $dir/tokens" "objectstore.backend = file" \
            "log.level = ERROR" "slots.removable = false" >"$dir/softhsm2.conf"
    fi
    export SOFTHSM2_CONF=$dir/softhsm2.conf
    token_log "$dir/softhsm2-util.log" softhsm2-util --init-token --free --label "$label" --pin "$pin" \
        --so-pin "so-$pin"
}

softhsm_import()
{
    local label=$1 pin=$2 name=$3 file=$4 log
    log=$(dirname "$SOFTHSM2_CONF")/import.log
    GNUTLS_PIN=$pin token_log "$log" p11tool --provider "$(token_find libsofthsm2.so)" --login --batch \
        --write --secret-key "$(token_hex "$file" 32)" --label "$name" --mark-private --mark-sign \
        "pkcs11:token=$label"
}

tpm_start()
{
    local dir=$1
    mkdir -p "$dir"
    dir=$(cd "$dir" && pwd)
    rm -f "$dir/swtpm" "$dir/swtpm.ctrl"
    # Absolute paths: swtpm goes into failure mode on relative ones.
    swtpm socket --tpm2 --tpmstate "dir=$dir" --server "type=unixio,path=$dir/swtpm" \
        --ctrl "type=unixio,path=$dir/swtpm.ctrl" --flags not-need-init,startup-clear "${token_swtpm_options[@]}" \
        >"$dir/swtpm.log" 2>&1 </dev/null &
    tpm_pid=$!
    tpm_tcti=swtpm:path=$dir/swtpm
    token_wait 10 test -S "$dir/swtpm.ctrl" ||
        token_fails "swtpm does not start: $(tail -n 3 "$dir/swtpm.log")"
}

tpm_kill()
{
    token_end "$tpm_pid" "${1:-KILL}"
    tpm_pid=''
}

tpm_bus_start()
{
    local dir=$1
    cat >"$dir/bus.conf" <<END
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path=$dir/bus</listen>
  <policy context="default">
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
    <allow own="*"/>
  </policy>
</busconfig>
END
    rm -f "$dir/bus"
    dbus-daemon --nofork --nopidfile --config-file="$dir/bus.conf" >"$dir/bus.log" 2>&1 </dev/null &
    tpm_bus_pid=$!
    export DBUS_SESSION_BUS_ADDRESS=unix:path=$dir/bus
    token_wait 10 test -S "$dir/bus" || token_fails "dbus-daemon does not start: $(tail -n 3 "$dir/bus.log")"
}

tpm_manager_start()
{
    local dir=$1 options=(--session "--tcti=$tpm_tcti")
    mkdir -p "$dir"
    dir=$(cd "$dir" && pwd)
    if [ -z "$tpm_bus_pid" ]; then
        tpm_bus_start "$dir" || return 1
    fi
    [ "$(id -u)" -ne 0 ] || options+=(--allow-root)
    tpm2-abrmd "${options[@]}" >"$dir/abrmd.log" 2>&1 </dev/null &
    tpm_manager_pid=$!
    tpm_manager_tcti=tabrmd:bus_type=session
    token_wait 20 tpm2_getcap -T "$tpm_manager_tcti" properties-fixed ||
        token_fails "tpm2-abrmd does not start: $(tail -n 3 "$dir/abrmd.log")"
}

tpm_manager_kill()
{
    token_end "$tpm_manager_pid" "${1:-KILL}"
    tpm_manager_pid=''
}

tpm_use()
{
    # The tools read one variable, the module the other.
    export TPM2TOOLS_TCTI=$1 TPM2_PKCS11_TCTI=$1 TPM2OPENSSL_TCTI=$1
    export TSS2_LOG=all+NONE TPM2_PKCS11_LOG_LEVEL=0
}

tpm_token()
{
    local dir=$1 label=$2 pin=$3
    # shellcheck disable=SC2034 # for the caller
    token_module=$(token_find libtpm2_pkcs11.so) || token_module=$(token_find libtpm2_pkcs11.so.1) || return 1
    mkdir -p "$dir"
    export TPM2_PKCS11_STORE=$dir
    # The limits of a fresh swtpm (3 tries) are tighter than those of most TPMs.
    token_log "$dir/ptool.log" tpm2_dictionarylockout --setup-parameters --max-tries=31 --recovery-time=600 \
        --lockout-recovery-time=600 || return 1
    if [ ! -f "$dir/tpm2_pkcs11.sqlite3" ]; then
        token_log "$dir/ptool.log" tpm2_ptool init --path="$dir" || return 1
    fi
    token_log "$dir/ptool.log" tpm2_ptool addtoken --pid=1 --path="$dir" --label="$label" --userpin="$pin" \
        --sopin="so-$pin"
}

tpm_import()
{
    local label=$1 pin=$2 name=$3 file=$4 hash=${5:-sha256}
    token_log "$TPM2_PKCS11_STORE/ptool.log" tpm2_ptool import --path="$TPM2_PKCS11_STORE" --label="$label" \
        --userpin="$pin" --algorithm="hmac:$hash" --privkey="$file" --key-label="$name"
}

tpm_lockout_counter()
{
    local value
    value=$(tpm2_getcap properties-variable | sed -n 's/^TPM2_PT_LOCKOUT_COUNTER: *//p')
    [ -n "$value" ] || token_fails "the TPM does not say its lockout counter" || return 1
    printf '%d\n' "$value"
}

tpm_all()
{
    local dir=$1 label=$2 pin=$3
    tpm_start "$dir" && tpm_manager_start "$dir" && tpm_use "$tpm_manager_tcti" &&
        tpm_token "$dir/store" "$label" "$pin"
}

tokens_stop()
{
    # A stopped process must go on before it can end.
    [ -z "$tpm_pid" ] || kill -CONT "$tpm_pid" 2>/dev/null || :
    tpm_manager_kill TERM
    tpm_kill TERM
    token_end "$tpm_bus_pid" TERM
    tpm_bus_pid=''
}

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# packages.sh GROUP...: installs what packages.txt names for the groups and this system lacks. Where
# apt cannot serve, it lists the packages and goes on: configure says which one is really needed.
set -eu -o pipefail

list=$(cd "$(dirname "$0")/../.." && pwd)/packages.txt

# wanted GROUP...: lines "group name alternative..." of the groups.
wanted()
{
    local groups=" $* "
    awk -v groups="$groups" '!/^#/ && NF { gsub(/\|/, " "); if (index(groups, " " $1 " ")) print }' "$list"
}

# Output is taken whole before it is searched: "grep -q" in a pipe ends the writer with SIGPIPE.
installed()
{
    local states
    states=$(dpkg-query -W -f='${db:Status-Status}\n' "$@" 2>/dev/null || :)
    grep -qx installed <<<"$states"
}

known()
{
    local policy
    policy=$(apt-cache policy "$1" 2>/dev/null || :)
    grep -q '^  Candidate: [^(]' <<<"$policy"
}

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    echo "== this system has no apt. By their Debian names, these packages are needed:"
    wanted "$@" | awk '{ printf "   %s\n", $2 }'
    echo "== going on with what is there"
    exit 0
fi

missing=()
while read -r group names; do
    # shellcheck disable=SC2086 # the alternatives are words
    installed $names || missing+=("$group $names")
done < <(wanted "$@")
if [ "${#missing[@]}" -eq 0 ]; then
    echo "== packages: nothing is missing"
    exit 0
fi

root=()
if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null; then
        root=(sudo)
    else
        echo "== not root, and no sudo. These packages are missing:"
        printf '   %s\n' "${missing[@]#* }"
        echo "== install them as root: apt-get install NAME...; going on with what is there"
        exit 0
    fi
fi
mkdir -p "$(dirname "$list")/build"
if command -v flock >/dev/null; then
    exec 9>"$(dirname "$list")/build/lock"
    flock 9
fi
# RUNLEVEL: where there is no systemd, the services of what is installed are not started.
apt=(${root[@]+"${root[@]}"} env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -y -o DPkg::Lock::Timeout=300)

echo "== packages: ${#missing[@]} are missing; reading apt's lists"
"${apt[@]}" -qq update || echo "== apt-get update failed; trying with the lists that are there"

choice=()
for line in "${missing[@]}"; do
    read -r group names <<<"$line"
    found=
    for name in $names; do
        if known "$name"; then
            found=$name
            break
        fi
    done
    if [ -n "$found" ]; then
        choice+=("$found")
    elif [ "$group" = extra ]; then
        echo "== not in this release (its tests are skipped): $names"
    else
        echo "== apt does not know: $names; going on without it"
    fi
done
[ "${#choice[@]}" -gt 0 ] || exit 0
echo "== installing: ${choice[*]}"
# Newer than a Makefile: build.sh configures again.
trap 'touch "$(dirname "$list")/build/packages"; rm -f "${log-}"' EXIT
log=$(mktemp)
# A count while it runs; everything if it fails.
# (Without the lock: a service that is started would keep it.)
if ! "${apt[@]}" install --no-install-recommends "${choice[@]}" 9>&- 2>&1 | tee "$log" |
    awk '/^Get:/ { g++; if (g % 50 == 0) { printf "   %d files fetched\n", g; fflush() } }
        /^Setting up / { n++; if (n % 50 == 0) { printf "   %d packages set up\n", n; fflush() } }
        END { printf "   done: %d packages set up\n", n }'; then
    tail -n 30 "$log"
    echo "== apt-get install failed (see above); going on with what is there"
fi

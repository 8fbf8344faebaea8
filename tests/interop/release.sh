#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# release.sh RELEASE COMMAND...: runs a command over a copy of these sources in a fresh minimal Debian root of
# another release (bookworm, trixie). Its exit status is the command's, or 99 where that cannot be done here. The
# bare root is made by debootstrap once and kept in build/roots; what runs in it starts from a copy. Needs root,
# debootstrap, and a mirror (EKMOTP_MIRROR, http://deb.debian.org/debian).
set -eu -o pipefail
src=$(cd "$(dirname "$0")/../.." && pwd)
release=$1
shift
mirror=${EKMOTP_MIRROR:-http://deb.debian.org/debian}
roots=$src/build/roots

cannot()
{
    echo "release.sh: $*" >&2
    exit 99
}

[ "$(id -u)" -eq 0 ] || cannot "only root can make a root file system: sudo ./dev matrix --release $release"
command -v unshare >/dev/null || cannot "unshare is not installed (util-linux)"
if [ "${EKMOTP_RELEASE_INSIDE-}" != 1 ]; then
    command -v debootstrap >/dev/null || EKMOTP_RELEASE_INSIDE=1 apt-get -qq -y install debootstrap >/dev/null ||
        cannot "debootstrap is not installed"
    unshare --mount --propagation private true 2>/dev/null || cannot "no mount namespace here"
    # In a mount namespace of its own: what is mounted below is gone with the last process, whatever happens.
    EKMOTP_RELEASE_INSIDE=1 exec unshare --mount --propagation private bash "$0" "$release" "$@"
fi

mkdir -p "$roots"
if [ ! -f "$roots/$release.tar" ]; then
    echo "== debootstrap $release (once)"
    rm -rf "${roots:?}/$release.new"
    debootstrap --variant=minbase "$release" "$roots/$release.new" "$mirror" >"$roots/$release.log" 2>&1 ||
        cannot "debootstrap failed: $(tail -n 3 "$roots/$release.log")"
    tar -C "$roots/$release.new" -cf "$roots/$release.tar.new" .
    mv "$roots/$release.tar.new" "$roots/$release.tar"
    rm -rf "${roots:?}/$release.new"
fi

root=$roots/run-$release
rm -rf --one-file-system "$root"
mkdir -p "$root"
tar -C "$root" -xpf "$roots/$release.tar"
# A root that is a mount point: programs in it can make mount namespaces of their own.
mount --bind "$root" "$root"
cp /etc/resolv.conf "$root/etc/resolv.conf"
printf '%s\n' "127.0.0.1 localhost" "::1 localhost" >"$root/etc/hosts"
for file in /etc/apt/apt.conf.d/*; do
    # A proxy, and what else it takes to reach the mirror from here.
    if grep -q '^Acquire' "$file" 2>/dev/null; then
        cp "$file" "$root/etc/apt/apt.conf.d/"
    fi
done
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mkdir -p "$root/opt/ekmotp"
if git -C "$src" rev-parse --git-dir >/dev/null 2>&1; then
    git -C "$src" ls-files -z | (cd "$src" && xargs -0 tar -cf - --ignore-failed-read) | tar -C "$root/opt/ekmotp" -xf -
else
    tar -C "$src" --exclude=./build --exclude=./autom4te.cache -cf - . | tar -C "$root/opt/ekmotp" -xf -
fi
echo "== Debian $release: $*"
rc=0
chroot "$root" /usr/bin/env -i HOME=/tmp PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM="${TERM:-dumb}" \
    ${http_proxy:+"http_proxy=$http_proxy"} sh -c 'cd /opt/ekmotp && exec "$@"' - "$@" || rc=$?
# What the command wrote into build/out comes back in build/out-RELEASE.
if [ -d "$root/opt/ekmotp/build/out" ]; then
    mkdir -p "$src/build/out-$release"
    cp -r "$root/opt/ekmotp/build/out/." "$src/build/out-$release/"
fi
umount --recursive --lazy "$root"
rm -rf --one-file-system "$root"
exit "$rc"

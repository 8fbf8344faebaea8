#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# distcheck.sh BUILD: the tarball holds every file that git knows, and make distcheck holds: it builds from
# the tarball in a folder of its own, installs, uninstalls and cleans up. Its inner make check builds the test
# programs and runs none of them ("TESTS="): the other steps ran them.
set -eu -o pipefail
export LC_ALL=C
cd "$(dirname "$0")/.."
build=$1

make -C "$build" -j"$(nproc)" distcheck TESTS=
if git rev-parse --git-dir >/dev/null 2>&1; then
    archive=$(echo "$build"/ekmotp-*.tar.gz)
    missing=$(git ls-files -- . ':!.gitignore' ':!m4/.gitkeep' | sort |
        comm -23 - <(tar -tzf "$archive" | sed 's#^[^/]*/##' | sort))
    if [ -n "$missing" ]; then
        printf 'not in the tarball:\n%s\n' "$missing"
        exit 1
    fi
fi

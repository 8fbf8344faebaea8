#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# matrix.sh: the interop matrix; "matrix.sh --help" tells more. Without arguments, as make check calls it, the
# quick run.
set -eu -o pipefail
here=$(cd "$(dirname "$0")" && pwd)
python=/usr/bin/python3
[ -x "$python" ] || python=$(command -v python3) || {
    echo "matrix.sh: skipped: python3 is not installed"
    exit 77
}
[ "$#" -gt 0 ] || set -- --build "$PWD" --quick
exec "$python" -B "$here/matrix.py" "$@"

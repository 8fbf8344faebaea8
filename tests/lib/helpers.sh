#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# helpers.sh: the helpers of test.sh can fail, and clean up. A helper that always says yes would make
# every test that uses it worthless.
#
# shellcheck disable=SC2016 # the inner shells expand
# shellcheck source=tests/lib/test.sh
. "${srcdir:-.}/tests/lib/test.sh"

# inner STATUS SCRIPT: runs the script after test.sh in a shell of its own.
inner()
{
    local rc=0
    srcdir=$top_src bash -c ". '$top_src/tests/lib/test.sh'; $2" 2>"$tmp/inner.out" || rc=$?
    [ "$rc" -eq "$1" ] || die "status $rc where $1 was expected: $2"
}

inner 0 'fails false'
inner 1 'fails true'
has "$tmp/inner.out" 'should have failed: true'
inner 1 'fails no-such-program-anywhere'
inner 1 'fails sh -c "kill -SEGV \$\$"'
inner 0 'exits 3 sh -c "exit 3"'
inner 1 'exits 3 sh -c "exit 4"'
inner 1 'exits 3 true'
inner 0 'same x a a'
inner 1 'same x a b'
inner 0 'wait_for 5 true'
inner 1 'wait_for 1 false'
inner 77 'skip because'
inner 77 'need no-such-program-anywhere'
inner 99 'cannot go on'
inner 1 'false; exit 0'
inner 0 'echo abc >$tmp/f; has $tmp/f ^abc$; lacks $tmp/f x'
inner 1 'echo abc >$tmp/f; has $tmp/f x'
inner 1 'echo abc >$tmp/f; lacks $tmp/f b'
inner 0 'rc=0; background $tmp/l sh -c "exit 5"; wait_for 5 gone $background_pid; stop $background_pid || rc=$?; [ $rc -eq 5 ]'

# What a test leaves behind is removed, also after a failure: its folder, its processes, in that order.
inner 1 "background \$tmp/l sleep 300; echo \$background_pid >$tmp/pid; echo \$tmp >$tmp/dir; false"
pid=$(cat "$tmp/pid")
wait_for 5 gone "$pid"
[ ! -e "$(cat "$tmp/dir")" ] || die "the folder is still there"
inner 0 "at_exit touch $tmp/first; at_exit test ! -e $tmp/first; exit 0"
[ -e "$tmp/first" ] || die "at_exit did not run"

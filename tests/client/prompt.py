#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""prompt.py ANSWER COMMAND...: runs the command on a terminal of its own and types the answer at its prompt.

Prints what the terminal shows, then a line with the exit status ("exit N" or "signal N"), whether the echo was
off while the answer was typed, and whether it is on again. ANSWER knows \\n, \\x03 and the like.
"""
import fcntl
import os
import select
import signal
import subprocess
import sys
import termios
import time

answer = sys.argv[1].encode().decode("unicode_escape").encode()
terminal, inside = os.openpty()


def take_terminal():
    """In the child. A shell's background job, which this may be, ignores the interrupt from the start."""
    fcntl.ioctl(inside, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


process = subprocess.Popen(sys.argv[2:], stdin=inside, stdout=inside, stderr=inside, start_new_session=True,
                           preexec_fn=take_terminal)


def echo():
    return bool(termios.tcgetattr(inside)[3] & termios.ECHO)


shown, typed, deadline = b"", False, time.time() + 30
while process.poll() is None:
    if time.time() > deadline:
        process.kill()
        sys.exit("no end in time; shown: %r" % shown)
    if select.select([terminal], [], [], 0.02)[0]:
        shown += os.read(terminal, 4096)
    # The prompt comes before the echo goes off: an answer to what is still shown would be flushed.
    if not typed and b"PIN of token" in shown and not echo():
        typed = True
        os.write(terminal, answer)
while select.select([terminal], [], [], 0.1)[0]:
    shown += os.read(terminal, 4096)
sys.stdout.write(shown.decode("latin-1").replace("\r", ""))
status = process.returncode
print("\n%s hidden=%s echo=%s" % ("exit %d" % status if status >= 0 else "signal %d" % -status, typed, echo()))

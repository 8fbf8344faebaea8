#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""Clients whose keys are in a token: their first request waits for the token, nobody else does; while the
token is away they get 503 and come in again once it is back."""
import glob
import os
import shutil
import signal
import socket
import subprocess
import threading
import time

import harness
from harness import Directory, Server, Tls, check, client, path, same, wait_for

AGENT = os.path.join(harness.build, "p11", "agent", "ekmotp-agent")
MODULES = [m for m in ("/usr/lib/softhsm/libsofthsm2.so", *glob.glob("/usr/lib/*/softhsm/libsofthsm2.so"))
           if os.path.exists(m)]
if not MODULES or not shutil.which("softhsm2-util") or not shutil.which("p11tool"):
    harness.skip("SoftHSM or p11tool is not installed")

store = path("tokens")
os.mkdir(store)
with open(path("softhsm2.conf"), "w", encoding="ascii") as f:
    f.write("directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n" % store)
os.environ["SOFTHSM2_CONF"] = path("softhsm2.conf")
with open(path("pin"), "w", encoding="ascii") as f:
    f.write("1234")
os.chmod(path("pin"), 0o600)
key = os.urandom(32)
URI = "pkcs11:token=servers;object=carol;type=secret-key?module-path=%s&pin-source=%s" % (MODULES[0], path("pin"))
subprocess.run(["softhsm2-util", "--init-token", "--free", "--label", "servers", "--pin", "1234", "--so-pin", "5678"],
               check=True, capture_output=True)
subprocess.run(["p11tool", "--provider", MODULES[0], "--login", "--set-pin", "1234", "--write", "--secret-key",
                key.hex(), "--label", "carol", "pkcs11:token=servers"], check=True, capture_output=True)

directory = Directory("alice")
client("add", directory.file, "carol", "--token", URI, "--agent-program", AGENT)
directory.keys["carol"] = key
server = Server("--agent-program", AGENT, "--token-timeout", "2", "--token-threads", "2", directory=directory)


def agents(worker=False):
    """The processes of our agent: they hold our environment. (It is no child of the server: it detaches.)"""
    found = []
    for folder in glob.glob("/proc/[0-9]*"):
        try:
            with open(folder + "/environ", "rb") as f, open(folder + "/cmdline", "rb") as g:
                if path("softhsm2.conf").encode() in f.read() and g.read().startswith(b"ekmotp-agent\0--worker"
                                                                                     if worker else b"ekmotp-agent\0"):
                    found.append(int(folder[6:]))
        except OSError:
            continue
    return found


def to_agents(number, worker=False):
    pids = agents(worker)
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass  # it has just ended
    return pids


def carol(n=1, c=None):
    c = c or Tls(server.port)
    return c, c.request("/whoami", authorization=c.proof(directory, n, "carol"))


def alice():
    c = Tls(server.port)
    start = time.monotonic()
    same("alice", c.request(authorization=c.proof(directory, 1)).status, 200)
    c.close()
    return time.monotonic() - start


def test_key_in_a_token():
    before = server.metric("ekmotp_token_derivations_total")
    c, r = carol()
    same("answer", (r.status, r.body), (200, b'{"client":"carol","profile":"v1"}\n'))
    for n in range(2, 20):
        same("request %d" % n, carol(n, c)[1].status, 200)
    same("derivations for one connection", server.metric("ekmotp_token_derivations_total"), before + 1)
    same("a wrong proof", c.request(authorization=c.proof(directory, 30, "carol", os.urandom(32))).status, 401)
    same("a replay", carol(19, c)[1].status, 401)


def test_pipelined_while_it_waits():
    c = Tls(server.port)
    c.send("".join("GET /get?%d HTTP/1.1\r\nHost: a\r\nAuthorization: %s\r\n\r\n" % (n, c.proof(directory, n, "carol"))
                   for n in range(1, 21)))
    for n in range(1, 21):
        same("status %d" % n, c.response().status, 200)


def test_many_at_once():
    done = []

    def run():
        for _ in range(10):
            done.append(carol()[1].status)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    same("statuses", set(done), {200})


def test_a_token_that_hangs():
    c, r = carol()
    same("before", r.status, 200)
    if not to_agents(signal.SIGSTOP):
        harness.skip("the agent's processes cannot be seen")
    answers = []

    def ask():
        start = time.monotonic()
        answers.append((carol()[1], time.monotonic() - start))

    try:
        threads = [threading.Thread(target=ask) for _ in range(8)]  # more than may wait side by side
        for t in threads:
            t.start()
        slowest = max(alice() for _ in range(50))
        same("a channel that is open goes on", carol(2, c)[1].status, 200)
        for t in threads:
            t.join(30)
        # the agent is replaced meanwhile: those who queued behind the first may be let in already
        statuses = sorted(r.status for r, _ in answers)
        check(set(statuses) <= {200, 503} and 503 in statuses, "answers:", statuses)
        check(all(seconds < 8 for _, seconds in answers), "too late:", [s for _, s in answers])
        refused = [r for r, _ in answers if r.status == 503][0]
        same("Retry-After", refused.fields["retry-after"], "5")
        check("www-authenticate" not in refused.fields, "a challenge in a 503")
        print("slowest of 50 requests of others meanwhile: %.1f ms" % (slowest * 1000))
        check(slowest < 1, "others wait for the token:", slowest)
        server.wait_log("level=error event=request .*status=503 reason=key-unavailable .*client=carol")
    finally:
        to_agents(signal.SIGCONT)
    wait_for("the token again", lambda: carol()[1].status == 200, 30)


def test_a_peer_that_leaves_while_it_waits():
    to_agents(signal.SIGSTOP)
    try:
        for _ in range(3):
            c = Tls(server.port)
            c.send("GET /get HTTP/1.1\r\nHost: a\r\nAuthorization: %s\r\n\r\n" % c.proof(directory, 1, "carol"))
            wait_for("the request at the token", lambda: server.metric("ekmotp_token_waiting") >= 1)
            c.close()
    finally:
        to_agents(signal.SIGCONT)
    wait_for("all gone", lambda: server.metric("ekmotp_connections") == 0, 30)
    wait_for("nobody waiting", lambda: server.metric("ekmotp_token_waiting") == 0, 30)
    wait_for("the token again", lambda: carol()[1].status == 200, 30)


def test_a_token_that_goes_away():
    os.rename(store, store + ".away")
    to_agents(signal.SIGKILL, worker=True)  # with what it holds of the token
    try:
        wait_for("503", lambda: carol()[1].status == 503, 20)
        alice()
    finally:
        os.rename(store + ".away", store)
    wait_for("the token again", lambda: carol()[1].status == 200, 60)


def test_an_agent_that_is_mute():
    """Those who queue behind others for a token get their 503 in time too, not only those whose turn it is."""
    mute = socket.socket(socket.AF_UNIX)
    mute.bind(path("mute"))
    mute.listen(100)
    own = Server("--agent", path("mute"), "--token-timeout", "1", "--token-threads", "1", directory=directory)
    answers = []

    def ask():
        c = Tls(own.port)
        start = time.monotonic()
        r = c.request(authorization=c.proof(directory, 1, "carol"))
        answers.append((r.status, r.fields.get("retry-after"), time.monotonic() - start < 6))

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(30)
    same("answers", answers, [(503, "5", True)] * 12)
    check(own.metric('ekmotp_deadlines_missed_total{limit="token"}') > 0, "nobody had to queue")
    own.stop()
    mute.close()


def test_stop_while_a_token_hangs():
    to_agents(signal.SIGSTOP)
    c = Tls(server.port)
    c.send("GET /get HTTP/1.1\r\nHost: a\r\nAuthorization: %s\r\n\r\n" % c.proof(directory, 1, "carol"))
    wait_for("the request at the token", lambda: server.metric("ekmotp_token_waiting") == 1)
    server.kill(signal.SIGTERM)
    try:
        same("the request under way", c.response().status, 503)
        same("exit status", server.wait(30), 0)
    finally:
        to_agents(signal.SIGCONT)
    wait_for("the agent's end", lambda: not agents(), 10)


harness.main()

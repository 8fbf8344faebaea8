#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""What becomes of the directory under a running nginx, of its configuration and its workers; and sessions that are
resumed in another worker."""
import os
import shutil
import signal
import sys

sys.dont_write_bytecode = True
import nginx  # noqa: E402
from nginx import check, harness, path, same, wait_for  # noqa: E402
from harness import Directory, Tls, client  # noqa: E402

OK = "location / { return 200 'ok'; }"
directory, second = Directory("alice", "bob"), Directory("carol")
TWO = OK + " location /second { ekmotp_directory " + second.file + "; return 200 'second'; }"
server = nginx.Nginx(directory, server=TWO)


def status(who="alice", d=directory, target="/", n=1):
    c = Tls(server.port)
    got = c.request(target, authorization=c.proof(d, n, who)).status
    c.close()
    return got


def seen(who, wanted, d=directory):
    """All workers come to give this status: each of 20 connections in a row."""
    wait_for("%s: %d" % (who, wanted), lambda: all(status(who, d) == wanted for _ in range(20)))


def test_replaced_by_rename():
    other = Directory("alice")
    new = path("new.db")
    for end in ("", ".kek"):
        shutil.copy(other.file + end, new + end)
    same("before", (status(), status(d=other)), (200, 401))
    for end in (".kek", ""):
        os.replace(new + end, directory.file + end)
    seen("alice", 200, other)
    same("the old key", status(), 401)
    same("another client of the old one", status("bob"), 401)
    directory.keys = other.keys
    client("disable", directory.file, "alice")
    seen("alice", 401)
    client("enable", directory.file, "alice")
    seen("alice", 200)


def test_deleted():
    kept = path("kept.db")
    os.rename(directory.file, kept)
    server.wait_log("%s.* the version read before stays in use" % directory.file)
    same("the old one stays", status(), 200)
    check(not os.path.exists(directory.file), "a server makes a directory")
    os.rename(kept, directory.file)
    client("disable", directory.file, "alice")
    seen("alice", 401)
    client("enable", directory.file, "alice")
    seen("alice", 200)


def test_unreadable_key():
    """The key-encryption key is lost: with the next change of the directory at the latest the log says so."""
    os.rename(directory.file + ".kek", path("kek"))
    server.kill(signal.SIGHUP)
    server.wait_log(r"\[emerg\].*%s.*kek" % directory.file)
    same("the old one stays", status(), 200)
    os.rename(path("kek"), directory.file + ".kek")
    os.chmod(directory.file + ".kek", 0o644)
    server.kill(signal.SIGHUP)
    same("still", status(), 200)
    os.chmod(directory.file + ".kek", 0o600)
    seen("alice", 200)


def reload():
    before = server.workers()
    server.kill(signal.SIGHUP)
    wait_for("new workers alone", lambda: len(server.workers()) == 2 and not set(server.workers()) & set(before))


def test_a_worker_after_a_refused_reload():
    """A configuration with fewer directories is refused; then a worker dies, and the one in its place has the old one."""
    same("second", status("carol", second, "/second"), 200)
    server.configure(OK, "server { listen 192.0.2.1:1; }")  # an address of nobody
    server.kill(signal.SIGHUP)
    server.wait_log(r"\[emerg\].* bind\(\) to 192.0.2.1:1")
    before = server.workers()
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    wait_for("other workers", lambda: len(set(server.workers()) - set(before)) >= 2)
    for _ in range(10):
        c = Tls(server.port)
        for n in (1, 2, 3):
            same("second", c.request("/second", authorization=c.proof(second, n, "carol")).status, 200)
            same("first", c.request(authorization=c.proof(directory, n)).status, 200)
        c.close()
    server.configure(TWO)
    reload()


def test_resumed_in_another_worker():
    for more in ("ssl_session_cache shared:SSL:1m; ssl_session_tickets off;", "ssl_session_tickets on;"):
        server.configure(TWO + more)
        reload()
        for version in ("1.2", "1.3"):
            c = Tls(server.port, version=version)
            p = c.proof(directory, 1)
            same("first", c.request(authorization=p).status, 200)
            for _ in range(20):
                d = Tls(server.port, version=version, session=c.tls.get_session())
                same("the old proof", d.request(authorization=p).status, 401)
                same("a new one", d.request(authorization=d.proof(directory, 1)).status, 200)
                same("again", d.request(authorization=d.proof(directory, 1)).status, 401)
                d.close()


def test_keepalive_requests():
    server.configure(TWO + "keepalive_requests 3;")
    reload()
    for _ in range(3):
        c = Tls(server.port)
        for n in (1, 2, 3):
            r = c.request(authorization=c.proof(directory, n))
            same("request %d" % n, (r.status, r.fields["connection"]), (200, "close" if n == 3 else "keep-alive"))
        check(c.closed(), "open after the last request")


def test_nobody_died():
    log = server.log()
    same("deaths beside those of ours", log.count("exited on signal"), log.count("exited on signal 9"))
    server.kill(signal.SIGTERM)
    same("exit status", server.wait(), 0)


harness.main()

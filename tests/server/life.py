#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""Start, reload, drain, end; several addresses, several servers; what systemd is told and passes."""
import fcntl
import json
import os
import shutil
import signal
import socket
import statistics
import threading
import time

import harness
from harness import Closed, Directory, Server, Tls, certificate, check, client, path, same, wait_for

HEAD = "GET /get HTTP/1.1\r\nHost: a\r\n"


class Load:
    """Threads that send requests, on kept and on new connections, and note what fails."""

    def __init__(self, server, directory, threads=3):
        self.server, self.directory, self.stop, self.failures, self.count = server, directory, False, [], 0
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(threads)]
        for t in self.threads:
            t.start()

    def run(self, i):
        c, n = None, 0
        while not self.stop:
            try:
                if not c or (i % 2 and n % 5 == 0):
                    if c:
                        c.close()
                    c, n = Tls(self.server.port), 0
                n += 1
                status = c.request(authorization=c.proof(self.directory, n)).status
                if status != 200:
                    self.failures.append(status)
                self.count += 1
            except (OSError, Closed, harness.SSL.Error, harness.Failed) as e:
                self.failures.append(repr(e))
                c = None

    def end(self):
        self.stop = True
        for t in self.threads:
            t.join()
        check(not self.failures, "requests failed:", self.failures[:5])
        check(self.count > 50, "only", self.count, "requests were made")


def test_reload_under_load():
    directory = Directory()
    cert = certificate("old")
    server = Server(directory=directory, cert=cert)
    load = Load(server, directory)
    kept = Tls(server.port)
    same("before", kept.request(authorization=kept.proof(directory, 1)).status, 200)
    for i in range(10):
        new = certificate("new%d" % i)
        shutil.copy(new[0], cert[0])
        shutil.copy(new[1], cert[1])
        server.kill(signal.SIGHUP)
        wait_for("reload", lambda: server.log().count("event=reloaded") > i)
        if i % 3 == 0:
            client("add", directory.file, "more%d" % i, "--out", path("more%d.key" % i))
    with open(certificate("new9")[0], encoding="ascii") as f:
        wanted = harness.subprocess.run(["openssl", "x509", "-noout", "-fingerprint", "-sha256"], stdin=f,
                                        capture_output=True, check=True).stdout.split(b"=")[1].strip()
    same("certificate", Tls(server.port).tls.get_peer_certificate().digest("sha256"), wanted)
    same("the kept connection", kept.request(authorization=kept.proof(directory, 2)).status, 200)
    load.end()
    wait_for("all clients", lambda: server.metric("ekmotp_directory_clients") == 5, 2)
    server.stop()


def test_broken_certificate_is_refused():
    directory = Directory()
    cert = certificate("good")
    mine = path("mine.cert"), path("mine.key")
    shutil.copy(cert[0], mine[0])
    shutil.copy(cert[1], mine[1])
    server = Server(directory=directory, cert=mine)
    shutil.copy(certificate("other")[1], mine[1])  # the key of another certificate
    server.kill(signal.SIGHUP)
    server.wait_log("event=certificate-refused .*does not belong")
    c = Tls(server.port)
    same("with the old one", c.request(authorization=c.proof(directory, 1)).status, 200)
    server.stop()


def test_directory_change_within_a_second():
    directory = Directory("alice", "bob")
    server = Server(directory=directory)
    c = Tls(server.port)
    same("before", c.request(authorization=c.proof(directory, 1)).status, 200)

    def follows(command, *options, status):
        nonlocal n
        client(command, directory.file, *options)
        start = time.monotonic()
        while True:
            n += 1
            if c.request(authorization=c.proof(directory, n)).status == status:
                seconds.append(time.monotonic() - start)
                return
            check(time.monotonic() - start < 10, "%s is not seen" % command)
            time.sleep(0.02)

    n = 1
    seconds = []
    for _ in range(3):
        follows("disable", "alice", status=401)
        follows("enable", "alice", status=200)
    follows("remove", "alice", status=401)
    check(statistics.median(seconds) < 1, "changes are seen within", seconds)
    d = Tls(server.port)
    same("others", d.request(authorization=d.proof(directory, 1, "bob")).status, 200)
    server.stop()


def test_broken_directory_is_refused():
    directory = Directory()
    server = Server(directory=directory)
    with open(directory.file, "r+b") as f:
        good = f.read()
        f.seek(0)
        f.write(b"no database at all" * 100)
    server.wait_log("event=directory-refused .*the clients as they were stay in force")
    c = Tls(server.port)
    same("with the old one", c.request(authorization=c.proof(directory, 1)).status, 200)
    check(server.metric("ekmotp_directory_failures_total") > 0, "no failure is counted")
    with open(directory.file, "wb") as f:
        f.write(good)
    server.kill(signal.SIGHUP)
    server.wait_log("event=directory-loaded")
    os.unlink(directory.file)
    same("without a file", c.request(authorization=c.proof(directory, 2)).status, 200)
    server.stop()


def test_drain():
    directory = Directory()
    server = Server("--drain-timeout", "20", directory=directory)
    busy, idle = Tls(server.port), Tls(server.port)
    same("idle", idle.request(authorization=idle.proof(directory, 1)).status, 200)
    busy.send(HEAD)  # a request under way
    wait_for("both", lambda: server.metric("ekmotp_connections") == 2)
    server.kill(signal.SIGTERM)
    check(idle.closed(), "the idle connection stays open")
    wait_for("the closed port", lambda: socket.socket().connect_ex(("127.0.0.1", server.port)) != 0)
    same("health", server.get_admin("/healthz").split()[1], "503")
    check(server.process.poll() is None, "the server did not wait for the request")
    busy.send("Authorization: %s\r\n\r\n" % busy.proof(directory, 1))
    r = busy.response()
    same("the request under way", (r.status, r.fields["connection"]), (200, "close"))
    check(busy.closed(), "open after the last answer")
    busy.close()
    same("exit status", server.wait(), 0)


def test_drain_of_a_slow_reader():
    """An answer that is on its way when the server drains is sent whole, and then the connection ends."""
    web = path("web")
    os.makedirs(web, exist_ok=True)
    with open(os.path.join(web, "big"), "wb") as f:
        f.write(b"x" * 8000000)
    directory = Directory()
    server = Server("--static", web, directory=directory)
    c = Tls(server.port)
    c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    c.send("GET /static/big HTTP/1.1\r\nHost: a\r\nAuthorization: %s\r\n\r\n" % c.proof(directory, 1))
    wait_for("the answer", lambda: server.metric('ekmotp_requests_total{status="200"}') == 1)
    start = time.monotonic()
    server.kill(signal.SIGTERM)
    server.wait_log("event=stopping")
    same("the whole body", len(c.response().body), 8000000)
    check(c.closed(), "open after the last answer")
    c.close()
    same("exit status", server.wait(), 0)
    check(time.monotonic() - start < 15, "the drain waited for its limit")


def test_drain_has_a_limit():
    server = Server("--drain-timeout", "1")
    busy = Tls(server.port)
    busy.send(HEAD)
    start = time.monotonic()
    server.kill(signal.SIGTERM)
    same("exit status", server.wait(10), 0)
    check(0.8 < time.monotonic() - start < 5, "the limit of one second:", time.monotonic() - start)


def test_a_second_signal_ends_at_once():
    server = Server("--drain-timeout", "60")
    busy = Tls(server.port)
    busy.send(HEAD)
    server.kill(signal.SIGINT)
    server.wait_log("event=stopping")
    server.kill(signal.SIGTERM)
    same("exit status", server.wait(10), 0)


def test_drain_under_load():
    """Every request that was answered, was answered whole; nothing hangs."""
    directory = Directory()
    server = Server(directory=directory)
    load = Load(server, directory, 4)
    wait_for("some requests", lambda: load.count > 100)
    server.kill(signal.SIGTERM)
    load.stop = True
    for t in load.threads:
        t.join()
    check(all(isinstance(f, str) for f in load.failures), "refused while draining:", load.failures[:5])
    same("exit status", server.wait(), 0)


def test_addresses():
    directory = Directory()
    if socket.has_ipv6 and os.path.exists("/proc/net/if_inet6"):
        server = Server("--listen", "[::1]:0", "--listen", "127.0.0.2:0", directory=directory)
        for host, port in zip(("127.0.0.1", "::1", "127.0.0.2"), server.ports):
            c = Tls(port, host)
            same(host, c.request(authorization=c.proof(directory, 1)).status, 200)
        server.wait_log(r"peer=\"?\[::1\]:\d+")
        server.stop()
    else:
        print("no IPv6 here: not tested")


def test_two_servers_side_by_side():
    one, two = Directory("alice"), Directory("bob")
    first, second = Server(directory=one), Server(directory=two)
    a, b = Tls(first.port), Tls(second.port)
    same("the first", a.request("/whoami", authorization=a.proof(one, 1)).body, b'{"client":"alice","profile":"v1"}\n')
    same("the second", b.request("/whoami", authorization=b.proof(two, 1, "bob")).body,
         b'{"client":"bob","profile":"v1"}\n')
    same("the other's client", a.request(authorization=a.proof(two, 2, "bob")).status, 401)
    # One port is one server's: SO_REUSEPORT between loops lets no second server in.
    third = Server(listen="127.0.0.1:%d" % first.port, directory=two, wait=False)
    same("exit status", third.wait(), 1)
    check("Address already in use" in third.log(), third.log())
    first.stop()
    second.stop()


class Notify:
    """A service manager's socket."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.path = path("notify")
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.socket.bind(self.path)
        self.socket.settimeout(10)
        self.got = ""

    def wait(self, word):
        while word not in self.got:
            self.got += self.socket.recv(4096).decode() + "\n"
        self.got = self.got.split(word, 1)[1]


def need_systemd():
    with open("config.h", encoding="ascii") as f:
        if "#define HAVE_SYSTEMD 1" in f.read():
            return True
    print("built without systemd: not tested")
    return False


def test_notify():
    if not need_systemd():
        return
    notify = Notify()
    server = Server(env={"NOTIFY_SOCKET": notify.path, "WATCHDOG_USEC": "1000000"})
    notify.wait("READY=1")
    for _ in range(3):
        notify.wait("WATCHDOG=1")
    server.kill(signal.SIGHUP)
    notify.wait("RELOADING=1")
    notify.wait("MONOTONIC_USEC=")
    notify.wait("READY=1")
    server.kill(signal.SIGTERM)
    notify.wait("STOPPING=1")
    same("exit status", server.wait(), 0)


def test_socket_activation():
    if not need_systemd():
        return
    directory = Directory()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(100)
    port = listener.getsockname()[1]

    # sd_listen_fds(3) wants the pid of the server itself: a shell knows it
    wrapper = path("wrapper")
    with open(wrapper, "w", encoding="utf-8") as f:
        f.write('#!/bin/sh\nexec 3<&%d\nLISTEN_PID=$$ LISTEN_FDS=1 exec "$@"\n' % listener.fileno())
    os.chmod(wrapper, 0o700)
    server = Server(listen=None, directory=directory, pass_fds=(listener.fileno(),), wrapper=wrapper)
    same("port", server.port, port)
    c = Tls(port)
    same("status", c.request(authorization=c.proof(directory, 1)).status, 200)
    server.stop()


def test_log_that_is_not_read():
    """A full pipe on standard error: requests and signals are served, and the log says what it lacks."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, 1031, 16384)  # F_SETPIPE_SZ
    wrapper = path("unread")
    with open(wrapper, "w", encoding="utf-8") as f:
        f.write('#!/bin/sh\nexec 2>&%d\nexec "$@"\n' % writer)
    os.chmod(wrapper, 0o700)
    directory = Directory()
    server = Server("--log-format", "json", directory=directory, pass_fds=(writer,), wrapper=wrapper)
    c = Tls(server.port)
    for n in range(1, 101):
        same("status", c.request(authorization=c.proof(directory, n)).status, 200)
    log = os.read(reader, 65536)
    same("status", c.request(authorization=c.proof(directory, 101)).status, 200)
    log = [json.loads(line) for line in (log + os.read(reader, 65536)).decode().splitlines()]
    same("lines", len([x for x in log if x["event"] == "request"]) + sum(x.get("lines", 0) for x in log), 101)
    check(any(x["event"] == "log-lost" and x["lines"] > 20 for x in log), log)
    for n in range(102, 202):
        c.request(authorization=c.proof(directory, n))
    server.stop()
    os.close(reader)
    os.close(writer)


def test_no_core_and_no_debugger():
    server = Server()
    with open("/proc/%d/limits" % server.process.pid, encoding="ascii") as f:
        core = [line.split() for line in f if line.startswith("Max core")][0]
    same("core size", core[4:6], ["0", "0"])
    with open("/proc/%d/status" % server.process.pid, encoding="ascii") as f:
        same("NoNewPrivs", [line.split()[1] for line in f if line.startswith("NoNewPrivs")], ["1"])
    server.stop()


harness.main()

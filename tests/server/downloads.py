#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""Large files and large answers: what a peer that does not read may make the server hold, and for how long."""
import os
import select
import signal
import socket
import time

import harness
from harness import Closed, Directory, Server, Tls, check, path, same, wait_for

directory = Directory()
web = path("web")
os.makedirs(web)
LARGE = 200 * 1024 * 1024
MIB = 1024 * 1024
with open(os.path.join(web, "sparse"), "wb") as f:
    f.truncate(LARGE)
with open(os.path.join(web, "small"), "wb") as f:
    f.write(b"small")
lines = b"".join(b"%07d\n" % i for i in range(MIB))  # 8 MiB in which each place is known
with open(os.path.join(web, "lines"), "wb") as f:
    f.write(lines)
# What AddressSanitizer keeps back after it was freed is not the server's.
os.environ["ASAN_OPTIONS"] = "quarantine_size_mb=4:" + os.environ.get("ASAN_OPTIONS", "")
server = Server("--static", web, "--threads", "2", directory=directory)
hasty = Server("--static", web, "--threads", "2", "--send-timeout", "1", directory=directory)


def get(c, n, target, fields="", method="GET"):
    c.send("%s /static/%s HTTP/1.1\r\nHost: a\r\nAuthorization: %s\r\n%s\r\n"
           % (method, target, c.proof(directory, n), fields))


def small_window(port):
    """A connection whose kernel takes little."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect(("127.0.0.1", port))
    return Tls(port, sock=s)


def resident(of=server):
    with open("/proc/%d/status" % of.process.pid, encoding="ascii") as f:
        return [int(line.split()[1]) * 1024 for line in f if line.startswith("VmRSS:")][0]


def open_files(of=server):
    return len(os.listdir("/proc/%d/fd" % of.process.pid))


def answered(of, count):
    wait_for("%d answers" % count, lambda: of.metric('ekmotp_requests_total{status="200"}') == count)


def test_whole():
    """Every byte in its place, the connection kept; HEAD and an unknown Range change nothing."""
    c = Tls(server.port)
    for n, fields in ((1, ""), (2, "Range: bytes=5-9\r\n"), (3, "")):
        get(c, n, "lines", fields)
        r = c.response()
        same("status", r.status, 200)
        check(r.body == lines, "the body differs")
    get(c, 4, "sparse", method="HEAD")
    r = c.response(head_only=True)
    same("length of HEAD", r.fields["content-length"], str(LARGE))
    get(c, 5, "small", "Connection: close\r\n")
    same("after HEAD", c.response().body, b"small")
    check(c.closed() and not c.data, "more than was asked for")
    c = Tls(server.port)
    get(c, 1, "lines", "Connection: close\r\n")
    check(c.response().body == lines, "the last body differs")
    check(c.closed() and not c.data, "more than was asked for")


def test_pipelined_answers_keep_their_order():
    c = Tls(server.port)
    wanted = ["small", "lines", "none", "lines", "small"]
    c.send("".join("GET /static/%s HTTP/1.1\r\nHost: a\r\nAuthorization: %s\r\n\r\n" % (name, c.proof(directory, n))
                   for n, name in enumerate(wanted, 1)))
    for name in wanted:
        body = {"small": b"small", "lines": lines, "none": b"404 Not Found\n"}[name]
        check(c.response().body == body, "not the body of", name)
    c.close()


def test_readers_that_do_not_read():
    """Fifty downloads of 200 MiB that nobody reads: little memory, and an end in time."""
    before, files = resident(hasty), open_files(hasty)
    missed = hasty.metric('ekmotp_deadlines_missed_total{limit="send"}')
    peers = [small_window(hasty.port) for _ in range(50)]
    start = time.monotonic()
    for c in peers:
        get(c, 1, "sparse")
    highest = 0

    def gone():
        nonlocal highest
        highest = max(highest, resident(hasty))
        return hasty.metric('ekmotp_deadlines_missed_total{limit="send"}') == missed + 50

    wait_for("their end", gone, 30)
    print("50 stalled downloads of 200 MiB: %.1f MiB more, gone after %.1f s"
          % ((highest - before) / MIB, time.monotonic() - start))
    check(highest - before < 50 * MIB, "memory grew by", highest - before)
    hasty.wait_log("event=deadline .*limit=send")
    for c in peers:
        c.close()
    wait_for("closed files", lambda: open_files(hasty) <= files)


def test_a_trickle_is_not_enough():
    """A byte now and then pushes the end back for nobody: a whole piece must be taken."""
    missed = hasty.metric('ekmotp_deadlines_missed_total{limit="send"}')
    c = small_window(hasty.port)
    get(c, 1, "sparse")
    start = time.monotonic()
    while hasty.metric('ekmotp_deadlines_missed_total{limit="send"}') == missed:
        check(time.monotonic() - start < 30, "a trickle is borne")
        if select.select([c.socket], [], [], 0.2)[0]:
            c.socket.recv(1)
    c.close()


def test_many_at_once():
    peers = [Tls(server.port) for _ in range(20)]
    for c in peers:
        get(c, 1, "lines")
    for c in peers:
        check(c.response().body == lines, "the body differs")
        c.close()


def test_a_file_that_becomes_shorter():
    """The connection is cut, without a close_notify, and nothing is put in place of what is missing."""
    name = os.path.join(web, "shrinking")
    with open(name, "wb") as f:
        f.write(lines)
    c = small_window(server.port)
    get(c, 1, "shrinking")
    while b"0000001\n" not in c.data:
        c.more()
    os.truncate(name, 4 * MIB)
    try:
        c.response()
        check(False, "a whole answer of half a file")
    except Closed as end:
        check("close_notify" not in str(end), "the end looks orderly:", end)
    body = c.data.split(b"\r\n\r\n", 1)[-1]
    check(len(body) <= 4 * MIB and lines.startswith(body), "the answer was padded,", len(body))
    server.wait_log("event=file-cut .*became shorter")
    # one that grows meanwhile ends where it was said to end
    with open(name, "wb") as f:
        f.write(lines)
    c = small_window(server.port)
    get(c, 1, "shrinking")
    c.more()
    with open(name, "ab") as f:
        f.write(b"more")
    check(c.response().body == lines, "the body differs")
    get(c, 2, "small")
    same("the next answer", c.response().body, b"small")
    c.close()


def test_peers_that_vanish():
    """Connections that end in the middle leave no file open."""
    files = open_files()
    for _ in range(30):
        c = small_window(server.port)
        get(c, 1, "sparse")
        c.more()
        c.close()
    wait_for("closed files", lambda: open_files() <= files)


def test_drain_has_a_limit():
    """A download that nobody reads ends with the limit; one that goes on is in life.py."""
    draining = Server("--static", web, "--drain-timeout", "1", directory=directory)
    c = small_window(draining.port)
    get(c, 1, "sparse")
    answered(draining, 1)
    start = time.monotonic()
    draining.stop()
    check(0.8 < time.monotonic() - start < 5, "the limit of one second:", time.monotonic() - start)
    c.close()


def test_no_descriptor_left():
    """Not "there is no such file" but "come again"."""
    wrapper = path("few")
    with open(wrapper, "w", encoding="utf-8") as f:
        f.write('#!/bin/sh\nulimit -n 60\nexec "$@"\n')
    os.chmod(wrapper, 0o700)
    few = Server("--static", web, directory=directory, wrapper=wrapper)
    c = Tls(few.port)
    get(c, 1, "small")
    same("before", c.response().status, 200)
    others = [socket.create_connection(("127.0.0.1", few.port)) for _ in range(60)]
    few.wait_log("event=accept-failed")
    get(c, 2, "small")
    r = c.response()
    same("without descriptors", (r.status, r.fields.get("retry-after")), (503, "5"))
    for s in others:
        s.close()
    wait_for("room", lambda: few.metric("ekmotp_connections") == 1)
    get(c, 3, "small")
    same("after", c.response().body, b"small")
    c.close()
    few.stop()


def pipeline(c, target):
    """Sends requests and reads nothing, until the server takes no more. Returns the bytes it took."""
    c.socket.setblocking(False)
    sent, n, rest = 0, 0, b""
    while True:
        while len(rest) < 16384:
            n += 1
            rest += ("GET %s HTTP/1.1\r\nHost: a\r\nAuthorization: %s\r\n\r\n"
                     % (target, c.proof(directory, n))).encode()
        try:
            done = c.tls.send(rest[:16384])
            sent, rest = sent + done, rest[done:]
            check(sent < 64 * MIB, "requests are read without end")
        except harness.SSL.WantWriteError:
            if not select.select([], [c.socket], [], 0.5)[1]:
                return sent


def test_pipelining_without_reading():
    """Requests whose answers nobody reads are not even read: of any content."""
    handler = "%s/docs/examples/.libs/handler.so" % harness.build
    answering = Server("--static", web, "--handler", "/hello=" + handler, "--send-timeout", "5", directory=directory)
    for target in ("/get", "/whoami", "/hello/x", "/static/small", "/static/lines", "/nothing"):
        before = resident(answering)
        peers = [small_window(answering.port) for _ in range(4)]
        took = [pipeline(c, target) for c in peers]
        grown = resident(answering) - before
        print("%s: took %d KiB of requests of each of 4 peers, %d KiB more memory"
              % (target, max(took) // 1024, grown // 1024))
        check(grown < 64 * MIB, target, "made the server grow by", grown)
        for c in peers:
            c.close()
        wait_for("their end", lambda: answering.metric("ekmotp_connections") == 0)
    answering.stop()


def test_stop():
    wait_for("all gone", lambda: server.metric("ekmotp_connections") == 0)
    server.stop()
    hasty.stop()


harness.main()

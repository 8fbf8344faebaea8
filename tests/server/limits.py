#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""Deadlines that no peer can push back, and limits on connections and requests."""
import select
import socket
import threading
import time

import harness
from harness import Closed, Directory, Server, Tls, check, same, wait_for

directory = Directory()
short = Server("--handshake-timeout", "1", "--header-timeout", "1", "--body-timeout", "1", "--idle-timeout", "2",
               "--send-timeout", "1", "--log-level", "debug", "--body-size", "100000000", directory=directory)
HEAD = "GET /get HTTP/1.1\r\nHost: a\r\n"


def drip(c, data, pause=0.1, most=10):
    """Sends a byte now and then until the connection ends; returns the seconds that took."""
    start = time.monotonic()
    c.tls.setblocking(True)
    try:
        for byte in data:
            c.send(bytes([byte]))
            time.sleep(pause)
            check(time.monotonic() - start < most, "still open after %d s of dripping" % most)
    except (Closed, OSError, harness.SSL.Error):
        pass
    return time.monotonic() - start


def missed(limit, before):
    wait_for("deadline " + limit,
             lambda: short.metric('ekmotp_deadlines_missed_total{limit="%s"}' % limit) > before[limit], 20)
    short.wait_log("event=deadline .*limit=" + limit)


def counts():
    return {limit: short.metric('ekmotp_deadlines_missed_total{limit="%s"}' % limit)
            for limit in ("handshake", "header", "body", "send", "idle", "token")}


def test_handshake():
    before = counts()
    start = time.monotonic()
    s = socket.create_connection(("127.0.0.1", short.port))
    s.settimeout(10)
    same("what a silent peer gets", s.recv(10), b"")
    check(0.5 < time.monotonic() - start < 3, "the handshake's time")
    missed("handshake", before)
    # a byte of a ClientHello now and then does not help
    before = counts()
    s = socket.create_connection(("127.0.0.1", short.port))
    start = time.monotonic()
    try:
        for byte in b"\x16\x03\x01\x01\x00\x01\x00\x00\xfc\x03\x03" + bytes(200):
            s.sendall(bytes([byte]))
            time.sleep(0.05)
            check(time.monotonic() - start < 8, "still open")
    except OSError:
        pass
    check(time.monotonic() - start < 3, "the handshake's time")
    missed("handshake", before)


def test_header():
    before = counts()
    c = Tls(short.port)
    check(c.closed(5), "a connection without a first request stays open")
    missed("header", before)
    before = counts()
    seconds = drip(Tls(short.port), (HEAD + "X: " + "y" * 500).encode())
    check(seconds < 4, "a dripping head was borne for", seconds)
    missed("header", before)
    # also for the second request of a connection
    before = counts()
    c = Tls(short.port)
    same("first", c.request(authorization=c.proof(directory, 1)).status, 200)
    check(drip(c, (HEAD + "X: " + "y" * 500).encode()) < 4, "a dripping second head was borne")
    missed("header", before)


def test_body():
    before = counts()
    c = Tls(short.port)
    c.send("POST /get HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\nAuthorization: %s\r\n\r\n" % c.proof(directory, 1))
    check(drip(c, b"x" * 999) < 4, "a dripping body was borne")
    missed("body", before)
    before = counts()
    c = Tls(short.port)
    c.send("POST /get HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nAuthorization: %s\r\n\r\n"
           % c.proof(directory, 1))
    check(drip(c, b"1\r\nx\r\n" * 200) < 4, "a dripping chunked body was borne")
    missed("body", before)


def test_idle():
    before = counts()
    c = Tls(short.port)
    same("first", c.request(authorization=c.proof(directory, 1)).status, 200)
    start = time.monotonic()
    check(c.closed(8), "an idle connection stays open")
    check(1 < time.monotonic() - start < 5, "the idle time")
    missed("idle", before)


def test_a_reader_that_does_not_read():
    before = counts()
    c = Tls(short.port)
    c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    c.socket.setblocking(False)
    while True:
        try:
            c.tls.send((HEAD + "\r\n").encode() * 100)
        except harness.SSL.WantWriteError:
            if not select.select([], [c.socket], [], 0.5)[1]:
                break
    missed("send", before)
    c.close()


def test_slow_loris_set():
    """200 connections that drip hold up nobody, and all of them are gone in time."""
    lorises = []
    stop = threading.Event()
    for i in range(200):
        s = socket.create_connection(("127.0.0.1", short.port))
        c = Tls(short.port, sock=s, handshake=i % 2 == 0)
        lorises.append((c, i % 2 == 0))

    def drips():
        while not stop.is_set():
            for c, shaken in lorises:
                try:
                    if shaken:
                        c.send("X")
                    else:
                        c.socket.send(b"\x16")
                except (OSError, harness.SSL.Error, Closed):
                    pass
            stop.wait(0.1)

    thread = threading.Thread(target=drips)
    thread.start()
    try:
        slowest = 0
        end = time.monotonic() + 2
        while time.monotonic() < end:
            start = time.monotonic()
            c = Tls(short.port)
            same("meanwhile", c.request(authorization=c.proof(directory, 1)).status, 200)
            c.close()
            slowest = max(slowest, time.monotonic() - start)
        print("slowest request meanwhile: %.1f ms" % (slowest * 1000))
        check(slowest < 1, "others wait for the lorises:", slowest)
        wait_for("the lorises' end", lambda: short.metric("ekmotp_connections") <= 1, 10)
    finally:
        stop.set()
        thread.join()


def test_requests_per_connection():
    server = Server("--requests-per-connection", "3", directory=directory)
    c = Tls(server.port)
    for n in (1, 2):
        check("connection" not in c.request(authorization=c.proof(directory, n)).fields, "closed too early")
    r = c.request(authorization=c.proof(directory, 3))
    same("third", (r.status, r.fields["connection"]), (200, "close"))
    check(c.closed(), "open after the last request")
    server.stop()


def refused(port):
    try:
        c = Tls(port)
        c.request()
    except (harness.SSL.Error, OSError, Closed):
        return True
    return False


def test_connections_per_address():
    server = Server("--connections-per-address", "5", "--connections", "8", directory=directory)
    five = [Tls(server.port) for _ in range(5)]
    check(refused(server.port), "a sixth connection of one address")
    same("refused", server.metric('ekmotp_connections_refused_total{limit="connections-per-address"}'), 1)
    server.wait_log("event=connection-refused .*limit=connections-per-address")

    def other(address):
        s = socket.socket()
        s.bind((address, 0))
        s.connect(("127.0.0.1", server.port))
        return s

    three = [Tls(server.port, sock=other("127.0.0.%d" % i)) for i in (2, 3, 4)]
    for c in five + three:
        same("those inside", c.request(authorization=c.proof(directory, 1)).status, 200)
    try:
        Tls(server.port, sock=other("127.0.0.5"))
        check(False, "a ninth connection in all")
    except (harness.SSL.Error, OSError):
        pass
    same("refused", server.metric('ekmotp_connections_refused_total{limit="connections"}'), 1)
    for c in five[:3] + three:
        c.close()
    wait_for("room", lambda: server.metric("ekmotp_connections") == 2)
    for _ in range(20):  # room is given back each time
        c = Tls(server.port)
        same("after room was made", c.request(authorization=c.proof(directory, 1)).status, 200)
        c.close()
        wait_for("room", lambda: server.metric("ekmotp_connections") == 2)
    for c in five:
        c.close()
    server.stop()


def test_half_closed_and_reset():
    """Peers that vanish in every phase leave nothing behind."""
    import struct
    for step in range(4):
        s = socket.create_connection(("127.0.0.1", short.port))
        if step > 0:
            c = Tls(short.port, sock=s)
            if step == 2:
                c.send("GET /get HT")
            if step == 3:
                c.send(HEAD + "Content-Length: 5\r\nAuthorization: %s\r\n\r\nab" % c.proof(directory, 1))
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
    wait_for("all gone", lambda: short.metric("ekmotp_connections") == 0)
    short.stop()


harness.main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A client of the agent's wire that shares no code with it (docs/agent-protocol.md).

wire.py SOCKET hello            greets; prints what the agent answers
wire.py SOCKET mac URI HEX [PIN]  opens a key and makes a MAC
wire.py SOCKET lock|stop|admin  asks for that
wire.py SOCKET idle             connects and says nothing; prints the seconds until the agent hangs up
wire.py SOCKET abuse            says everything that is wrong; the agent must refuse each, and live
wire.py SOCKET flood URI        many requests at once without reading the replies
wire.py SOCKET crowd N          holds N connections
wire.py SOCKET greedy           connects as often as it can
"""
import os
import random
import socket
import struct
import sys
import time

HELLO, OPEN, MAC, CLOSE, STATUS, LOCK, STOP, ADMIN = range(1, 9)
ERROR, WELCOME, OPENED, PIN_NEEDED, MAC_IS, DONE, TEXT = range(128, 135)


def frame(kind, ident, body=b"", version=1):
    return struct.pack(">IBBI", len(body) + 6, version, kind, ident) + body


def open_body(uri, pin=None, hash_=4, timeout=10000):
    return (struct.pack(">IBBH", timeout, hash_, 0 if pin is None else 1, len(uri)) + uri.encode() +
            struct.pack(">H", len(pin or "")) + (pin or "").encode())


def mac_body(key, message, timeout=10000):
    return struct.pack(">IIH", timeout, key, len(message)) + message


class Agent:
    def __init__(self, path):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.settimeout(20)
        self.s.connect(path)
        self.left = b""

    def send(self, data):
        try:
            self.s.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def reply(self):
        """The next frame as (type, id, body); None at the end of the stream."""
        while True:
            if len(self.left) >= 4:
                n = struct.unpack(">I", self.left[:4])[0] + 4
                if len(self.left) >= n:
                    data, self.left = self.left[:n], self.left[n:]
                    _, version, kind, ident = struct.unpack(">IBBI", data[:10])
                    assert version == 1
                    return kind, ident, data[10:]
            try:
                more = self.s.recv(65536)
            except ConnectionResetError:
                return None
            if not more:
                return None
            self.left += more

    def ask(self, kind, ident, body=b""):
        self.send(frame(kind, ident, body))
        return self.reply()


def error_of(reply):
    kind, _, body = reply
    assert kind == ERROR, reply
    code, n = struct.unpack(">iH", body[:6])
    assert len(body) == 6 + n
    return code, body[6:].decode()


def greeted(path):
    a = Agent(path)
    kind, ident, _ = a.ask(HELLO, 77)
    assert (kind, ident) == (WELCOME, 77)
    return a


def opened(a, uri, pin):
    reply = a.ask(OPEN, 1, open_body(uri))
    if reply[0] == PIN_NEEDED:
        reply = a.ask(OPEN, 2, open_body(uri, pin))
    if reply[0] == ERROR:
        sys.exit("error %d %s" % error_of(reply))
    assert reply[0] == OPENED, reply
    return struct.unpack(">I", reply[2][:4])[0]


def refused(path, data, code=None, greet=True, what=""):
    """Sends bytes; the agent must answer with an error or hang up, never with a success."""
    a = greeted(path) if greet else Agent(path)
    a.send(data)
    a.s.shutdown(socket.SHUT_WR)
    reply = a.reply()
    if reply is not None:
        got, text = error_of(reply)
        assert code is None or got == code, (what, got, text)
        assert a.reply() is None, what
    else:
        assert code is None, (what, "no answer")


def abuse(path):
    syntax, limit, agent, inval = -3, -4, -53, -1
    for version in (0, 2, 255):
        refused(path, frame(HELLO, 5, b"", version), agent, greet=False, what="version")
    refused(path, frame(STATUS, 1), agent, greet=False, what="no HELLO")
    refused(path, frame(MAC_IS, 1, struct.pack(">H", 32) + bytes(32)), agent, what="a reply")
    for kind in (0, 9, 127, 135, 255):
        refused(path, frame(kind, 1), syntax, what="type")
    refused(path, frame(HELLO, 1, b"x"), syntax, what="trailing byte")
    refused(path, b"GET / HTTP/1.1\r\n\r\n", limit, greet=False, what="HTTP")
    for n in (0, 5, 0x7fffffff, 0xffffffff, 1024 * 1024, 8189):
        refused(path, struct.pack(">IBBI", n, 1, MAC, 1), limit, what="length %d" % n)
    refused(path, frame(MAC, 1, mac_body(1, b"")), syntax, what="empty message")
    refused(path, frame(MAC, 1, mac_body(1, bytes(1025))), syntax, what="long message")
    refused(path, frame(OPEN, 1, open_body("")), syntax, what="empty URI")
    refused(path, frame(OPEN, 1, open_body("pkcs11:" + "x" * 4097)), syntax, what="long URI")
    refused(path, frame(OPEN, 1, open_body("pkcs11:a\0b")), syntax, what="NUL in the URI")
    refused(path, frame(OPEN, 1, open_body("pkcs11:", "1" * 256)), syntax, what="long PIN")
    refused(path, frame(OPEN, 1, open_body("pkcs11:", None, 3)), syntax, what="hash")
    for reply in (greeted(path).ask(MAC, 1, mac_body(1, b"x")), greeted(path).ask(CLOSE, 1, struct.pack(">I", 9))):
        assert error_of(reply)[0] == inval
    for uri in ("http:x", "pkcs11:token=a?pin-value=1", "pkcs11:token=a?pin-source=/etc/passwd"):
        assert error_of(greeted(path).ask(OPEN, 1, open_body(uri)))[0] == -40, uri

    # Every cut and many flips of a good conversation.
    good = frame(HELLO, 1) + frame(STATUS, 2) + frame(MAC, 3, mac_body(1, b"m")) + frame(CLOSE, 4, struct.pack(">I", 1))
    for cut in range(len(good)):
        a = Agent(path)
        a.send(good[:cut])
        a.s.shutdown(socket.SHUT_WR)
        while a.reply() is not None:
            pass
    random.seed(1)
    for _ in range(400):
        data = bytearray(good)
        for _ in range(random.randint(1, 4)):
            data[random.randrange(len(data))] = random.randrange(256)
        # LOCK, STOP and the like are good requests; flips must not find them by accident here.
        if any(data[i] in (OPEN, LOCK, STOP, ADMIN) for i in (5, 15, 25, 46)):
            continue
        a = Agent(path)
        a.send(bytes(data))
        a.s.shutdown(socket.SHUT_WR)
        while a.reply() is not None:
            pass
    for _ in range(50):
        a = Agent(path)
        a.send(os.urandom(random.randint(1, 2000)))
        a.s.shutdown(socket.SHUT_WR)
        while a.reply() is not None:
            pass


def flood(path, uri):
    a = greeted(path)
    key = opened(a, uri, "1234")
    count = 20000
    a.s.setblocking(False)
    data = b"".join(frame(MAC, i, mac_body(key, V1)) for i in range(count))
    sent = 0
    while sent < len(data):
        try:
            sent += a.s.send(data[sent:])
        except BlockingIOError:
            break  # the agent stops reading from a client that does not read: its memory is bounded
    assert sent < len(data), "the agent took everything"
    b = greeted(path)  # and others are served meanwhile
    assert b.ask(STATUS, 9)[0] == TEXT
    a.s.setblocking(True)
    a.s.settimeout(20)
    whole = sent // 78
    seen = 0
    for _ in range(whole):
        kind, _, _ = a.reply()
        assert kind == MAC_IS
        seen += 1
    print("right", seen)


V1 = b"\0\0\0\1ekmotp v1 channel\0" + bytes(32) + b"\0\0\1\0"


def crowd(path):
    """Many connections, held until a signal ends it."""
    held = [socket.socket(socket.AF_UNIX) for _ in range(int(sys.argv[3]))]
    for s in held:
        try:
            s.connect(path)
            s.sendall(frame(HELLO, 1))
        except (BrokenPipeError, ConnectionResetError):  # one too many
            pass
    print("connected", flush=True)
    time.sleep(60)


def greedy(path):
    held = []
    for _ in range(200):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(0.2)
        try:
            s.connect(path)
        except (BlockingIOError, socket.timeout):
            break
        held.append(s)
    a = held.pop(0)
    a.settimeout(20)
    a.sendall(frame(HELLO, 1))
    assert a.recv(100)
    for s in held:
        s.close()
    deadline = time.time() + 20
    while True:
        try:
            return greeted(path)
        except BlockingIOError:  # the queue is full until the agent has seen who left
            assert time.time() < deadline
            time.sleep(0.01)


def main():
    path, what = sys.argv[1:3]
    if what == "hello":
        a = Agent(path)
        reply = a.ask(HELLO, 1)
        print("error %d %s" % error_of(reply) if reply[0] == ERROR else "welcome %d" % reply[2][0])
    elif what == "mac":
        a = greeted(path)
        key = opened(a, sys.argv[3], sys.argv[5] if len(sys.argv) > 5 else None)
        reply = a.ask(MAC, 3, mac_body(key, bytes.fromhex(sys.argv[4])))
        print("error %d %s" % error_of(reply) if reply[0] == ERROR else reply[2][2:].hex())
    elif what in ("lock", "stop", "admin"):
        kinds = {"lock": (LOCK, b""), "stop": (STOP, b""), "admin": (ADMIN, struct.pack(">II", 1000, 2) + b"{}")}
        reply = greeted(path).ask(kinds[what][0], 3, kinds[what][1])
        print("error %d %s" % error_of(reply) if reply[0] == ERROR else "done")
    elif what == "abuse":
        abuse(path)
    elif what == "flood":
        flood(path, sys.argv[3])
    elif what == "crowd":
        crowd(path)
    elif what == "greedy":
        greedy(path)
    elif what == "idle":
        start = time.time()
        a = Agent(path)
        assert a.reply() is None
        print("%.0f" % (time.time() - start))
    else:
        sys.exit(2)


main()

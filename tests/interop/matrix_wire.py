# SPDX-License-Identifier: Apache-2.0
"""What passes on the wire: a relay between a client and a server that reads the hellos, which are not encrypted.

So each cell knows what was negotiated from the bytes themselves, whatever the two stacks say of it.
"""
import socket
import struct
import threading

HELLO_RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")  # RFC 8446 4.1.3
HANDSHAKE, CHANGE_CIPHER_SPEC = 22, 20
CLIENT_HELLO, SERVER_HELLO, CERTIFICATE, SERVER_KEY_EXCHANGE = 1, 2, 11, 12
TICKET, EMS, PRE_SHARED_KEY, EARLY_DATA, VERSIONS, KEY_SHARE = 35, 23, 41, 42, 43, 51


def u16(data, at=0):
    return struct.unpack_from(">H", data, at)[0]


def handshake_messages(stream):
    """(type, body) of each handshake message before encryption begins."""
    plain, at = b"", 0
    while at + 5 <= len(stream):
        size = u16(stream, at + 3)
        if stream[at] == HANDSHAKE:
            plain += stream[at + 5:at + 5 + size]
        # TLS 1.3 sends one for the looks of it, before a second hello; in TLS 1.2 encryption begins here.
        elif stream[at] != CHANGE_CIPHER_SPEC or not (plain[0] == CLIENT_HELLO and len(plain) == 4 + u16(plain, 2) or
                                                      HELLO_RETRY in plain[:64]):
            break
        at += 5 + size
    at = 0
    while at + 4 <= len(plain):
        size = int.from_bytes(plain[at + 1:at + 4], "big")
        if at + 4 + size > len(plain):
            return
        yield plain[at], plain[at + 4:at + 4 + size]
        at += 4 + size


def extensions(hello, client):
    """{type: body} of a hello."""
    at = 34 + 1 + hello[34]
    if client:
        at += 2 + u16(hello, at)
        at += 1 + hello[at]
    else:
        at += 3
    found, end = {}, at + 2 + u16(hello, at) if at + 2 <= len(hello) else at
    at += 2
    while at + 4 <= end:
        size = u16(hello, at + 2)
        found[u16(hello, at)] = hello[at + 4:at + 4 + size]
        at += 4 + size
    return found


class Connection:
    """The first bytes of both directions, and what they say."""

    def __init__(self):
        self.streams = {"client": bytearray(), "server": bytearray()}

    def seen(self):
        """A dictionary; version is None where the server said no hello."""
        about = {"version": None, "retry": False, "certificate": False, "offered": False, "early": False}
        for kind, body in handshake_messages(bytes(self.streams["client"])):
            if kind == CLIENT_HELLO:
                found = extensions(body, True)
                about["offered"] |= PRE_SHARED_KEY in found or bool(found.get(TICKET))
                about["early"] |= EARLY_DATA in found
        for kind, body in handshake_messages(bytes(self.streams["server"])):
            if kind == SERVER_HELLO and body[2:34] == HELLO_RETRY:
                about["retry"] = True
            elif kind == SERVER_HELLO:
                found = extensions(body, False)
                at = 35 + body[34]
                version = u16(found.get(VERSIONS, body[:2]))
                about.update(version={0x303: "1.2", 0x304: "1.3"}.get(version, hex(version)), cipher=u16(body, at),
                             ems=EMS in found, psk=PRE_SHARED_KEY in found)
                if KEY_SHARE in found:
                    about["group"] = u16(found[KEY_SHARE])
            elif kind == CERTIFICATE:
                about["certificate"] = True
            elif kind == SERVER_KEY_EXCHANGE and body[0] == 3:  # named_curve
                about["group"] = u16(body, 1)
        about["resumed"] = about.get("psk") if about["version"] == "1.3" else not about["certificate"]
        return about


class Relay:
    """Listens on a port of its own and passes everything on to the server's."""

    def __init__(self, port):
        self.target, self.connections = port, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:  # closed
                return
            connection = Connection()
            self.connections.append(connection)
            for name, source, sink in (("client", client, server), ("server", server, client)):
                threading.Thread(target=self.copy, args=(source, sink, connection.streams[name]),
                                 daemon=True).start()

    @staticmethod
    def copy(source, sink, kept):
        try:
            while True:
                data = source.recv(65536)
                if len(kept) < 32768:
                    kept += data
                if not data:
                    sink.shutdown(socket.SHUT_WR)
                    return
                sink.sendall(data)
        except OSError:
            for end in (source, sink):
                end.close()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


CIPHERS = {"aes128": (0x1301, 0xc02b, 0xc02f), "aes256": (0x1302, 0xc02c, 0xc030), "chacha20": (0x1303, 0xcca8, 0xcca9)}
X25519MLKEM768 = 0x11ec


def wrong(version, special, connections):
    """What the hellos of a cell's connections say against it; None: nothing."""
    connections = [c for c in connections if c["version"]]
    if not connections:
        return "there was no TLS connection"
    if any(c["version"] != version for c in connections):
        return "a connection is not TLS %s" % version
    if special in CIPHERS and any(c["cipher"] not in CIPHERS[special] for c in connections):
        return "a connection has another cipher suite"
    if any(c["retry"] != (special == "hrr") for c in connections):
        return "HelloRetryRequest: %s" % [c["retry"] for c in connections]
    if special == "pq" and any(c.get("group") != X25519MLKEM768 for c in connections):
        return "a connection has another group than X25519MLKEM768"
    if version == "1.2" and any(c["ems"] == (special == "no-ems") for c in connections):
        return "extended master secret: %s" % [c["ems"] for c in connections]
    if special == "resumed" and not any(c["resumed"] for c in connections):
        return "no session was resumed"
    if special not in ("resumed", "early-data") and any(c["resumed"] for c in connections):
        return "a session was resumed"
    return None

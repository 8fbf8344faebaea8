#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A server on pyOpenSSL that does right and, where the path says so, wrong, for tests of the client.

Prints "listening PORT", then a line of JSON for each connection that fails and each request. Knows one
client; the protocol comes from the reference that tests/interop wrote from docs/protocol.md alone.
"""
import argparse
import base64
import ctypes
import json
import os
import re
import socket
import sys
import threading
import time
from urllib.parse import parse_qs, urlsplit

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "interop", "python"))
import peer  # noqa: E402
import reference as ref  # noqa: E402
from OpenSSL import SSL, crypto  # noqa: E402

NO_EMS, NO_RENEGOTIATION = 1, 0x40000000  # of openssl/ssl.h

parser = argparse.ArgumentParser()
parser.add_argument("--folder", required=True, help="with server.pem and server.key")
parser.add_argument("--client-key", required=True)
parser.add_argument("--id", default="client1")
parser.add_argument("--hash", default="SHA-256")
parser.add_argument("--profile", default="v1")
parser.add_argument("--tls", choices=("1.1", "1.2", "1.3"))
parser.add_argument("--no-ems", action="store_true")
parser.add_argument("--group", help="the only one, by its name in OpenSSL")
parser.add_argument("--cert", default="server")
parser.add_argument("--early-data", action="store_true", help="offer it in every ticket, and never take any")
o = parser.parse_args()
o.id_bytes = o.id.encode()
with open(o.client_key, "rb") as f:
    o.key = f.read()

versions = {"1.1": SSL.TLS1_1_VERSION, "1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}
context = SSL.Context(SSL.TLS_METHOD)
context.set_min_proto_version(versions[o.tls or "1.2"])
context.set_max_proto_version(versions[o.tls or "1.3"])
context.set_options(NO_RENEGOTIATION | (NO_EMS if o.no_ems else 0))
context.set_session_id(b"ekmotp")
if o.tls == "1.1":
    context.set_cipher_list(b"ALL:@SECLEVEL=0")
context.use_certificate_chain_file(os.path.join(o.folder, o.cert + ".pem"))
context.use_privatekey_file(os.path.join(o.folder, o.cert + ".key"))
if o.group:
    context.set_tmp_ecdh(crypto.get_elliptic_curve(o.group))

# pyOpenSSL knows nothing of early data; the library that it has loaded does.
libssl = ctypes.CDLL("libssl.so.3")
lock = threading.Lock()


def pointer(thing):
    return ctypes.c_void_p(int(SSL._ffi.cast("uintptr_t", thing)))


if o.early_data:
    libssl.SSL_CTX_set_max_early_data(pointer(context._context), 16384)


def say(**words):
    with lock:
        print(json.dumps(words), flush=True)


def proof_fields(path, info):
    """The Authentication-Info lines that an answer to this path has."""
    wrong = info[:2] + ("B" if info[2:3] == "A" else "A") + info[3:]
    return {
        "/no-proof": [],
        "/wrong-proof": [wrong],
        "/two-proofs": [info, info],
        "/two-parameters": [info + ", " + info],
        "/short-proof": [info[:-4]],
        "/padded-proof": [info + "="],
        "/empty-proof": [""],
        "/other-scheme": ['nextnonce="abc"'],
        "/quoted-proof": ['p="%s", other=1' % info[2:]],
        "/long-proof": [info + ", x=" + "a" * 2000],
    }.get(path, [info])


class Exchange:
    def __init__(self, connection, number, state):
        self.connection, self.number, self.state = connection, number, state

    def send(self, status, lines=(), body=b"ok", length=True):
        head = ["HTTP/1.1 %s" % status] + list(lines)
        if length:
            head.append("Content-Length: %d" % len(body))
        self.connection.sendall(("\r\n".join(head) + "\r\n\r\n").encode() + body)

    def verify(self, fields):
        """The right Authentication-Info value, or None for a refusal."""
        try:
            return peer.verify(o, peer.exporter(self.connection), fields, self.state["seen"])
        except Exception as e:  # whatever is wrong, the answer is the same
            self.why = str(e)
            return None

    def handle(self, message):
        first, fields, body = message
        method, target, _ = first.split()
        url = urlsplit(target)
        query = {k: v[0] for k, v in parse_qs(url.query).items()}
        self.why = ""
        info = self.verify(fields)
        carried = fields.get("authorization", fields.get("apikey"))
        say(connection=self.number, method=method, path=url.path, host=fields.get("host"), accepted=info is not None,
            credentials=carried, why=self.why, fields=sorted(fields), body=len(body),
            tls=self.connection.get_protocol_version_name(),
            resumed=bool(libssl.SSL_session_reused(pointer(self.connection._ssl))),
            early=libssl.SSL_get_early_data_status(pointer(self.connection._ssl)))
        handler = getattr(self, "do" + re.sub("[/-]", "_", url.path), None)
        if handler:
            return handler(query, fields, body, info)
        if info is None:
            return self.refuse()
        self.send("200 OK", ["Authentication-Info: " + i for i in proof_fields(url.path, info)] if info else [])
        return True

    def refuse(self, lines=('WWW-Authenticate: EKMOTP realm="test"',)):
        self.send("401 Unauthorized", lines, b"refused")
        return True

    def do_refuse(self, query, fields, body, info):
        return self.refuse()

    def do_refuse_other(self, query, fields, body, info):
        return self.refuse(['WWW-Authenticate: Basic realm="other"'])

    def do_status(self, query, fields, body, info):
        lines = ["Authentication-Info: " + info] if info and "bare" not in query else []
        self.send(query["s"] + " Words", lines, b"" if query["s"] == "204" else b"ok", query["s"] != "204")
        return query["s"] not in ("099", "101")

    def do_redirect(self, query, fields, body, info):
        lines = ["Authentication-Info: " + info] if info and "bare" not in query else []
        self.send(query.get("s", "302") + " Found", lines + ["Location: " + query["to"]], b"moved")
        return True

    def do_around(self, query, fields, body, info):
        return self.do_redirect({"to": "/around"}, fields, body, info)

    def do_echo(self, query, fields, body, info):
        seen = {k: v for k, v in fields.items() if k not in ("authorization", "apikey")}
        text = json.dumps({"fields": seen, "body": base64.b64encode(body).decode(), "query": query}).encode()
        self.send("200 OK", ["Authentication-Info: " + info, "X-Test: yes"] if info else ["X-Test: yes"], text)
        return True

    def do_dies(self, query, fields, body, info):
        """Answers well; the connection is dead for the next request."""
        self.send("200 OK", ["Authentication-Info: " + info] if info else [])
        self.state["dead"] = True
        return True

    def do_closes(self, query, fields, body, info):
        self.send("200 OK", ["Connection: close", "Authentication-Info: " + info])
        return False

    def do_hints(self, query, fields, body, info):
        """1xx answers with a proof that is none of theirs, then the answer, without one."""
        self.send("103 Early Hints", ["Authentication-Info: " + info], b"", False)
        self.send("200 OK")
        return True

    def do_trailer(self, query, fields, body, info):
        self.send("200 OK", ["Transfer-Encoding: chunked", "Trailer: Authentication-Info"],
                  ("2\r\nok\r\n0\r\nAuthentication-Info: %s\r\n\r\n" % info).encode(), False)
        return True

    def do_slow(self, query, fields, body, info):
        time.sleep(float(query["t"]))
        self.send("200 OK", ["Authentication-Info: " + info])
        return True

    def do_status_field(self, query, fields, body, info):
        """A field that looks like the first line of a refusal, and no proof."""
        self.send("200 OK", [query["line"]])
        return True

    def do_status_trailer(self, query, fields, body, info):
        self.send("200 OK", ["Transfer-Encoding: chunked"], b"2\r\nok\r\n0\r\nHTTP/1.1 401: x\r\n\r\n", False)
        return True

    def do_large(self, query, fields, body, info):
        self.send("200 OK", ["Authentication-Info: " + info], b"x" * int(query["bytes"]))
        return True

    def do_cut(self, query, fields, body, info):
        """A good header, and less body than it says."""
        self.send("200 OK", ["Authentication-Info: " + info, "Content-Length: 100"], b"half", False)
        return False

    def do_garbage(self, query, fields, body, info):
        self.connection.sendall(b"not HTTP at all\r\n\r\n")
        return False

    def do_endless(self, query, fields, body, info):
        self.connection.sendall(b"HTTP/1.1 200 OK\r\n")
        for _ in range(5000):
            self.connection.sendall(b"X-Filler: " + b"a" * 200 + b"\r\n")
        return False


def serve(plain, number):
    connection = SSL.Connection(context, plain)
    connection.set_accept_state()
    state = {"seen": set(), "dead": False}
    try:
        connection.do_handshake()
        while True:
            message = peer.read_message(connection)
            if message is None or state["dead"]:
                break
            if not Exchange(connection, number, state).handle(message):
                break
        connection.shutdown()  # without it OpenSSL forgets the session
        plain.shutdown(socket.SHUT_RDWR)
    except (SSL.Error, OSError) as e:
        say(connection=number, ended=repr(e))
    finally:
        plain.close()


listener = socket.create_server(("127.0.0.1", 0))
print("listening %d" % listener.getsockname()[1], flush=True)
count = 0
while True:
    accepted, _ = listener.accept()
    count += 1
    threading.Thread(target=serve, args=(accepted, count), daemon=True).start()

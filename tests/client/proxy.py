#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A CONNECT proxy. Prints "listening PORT", then the head of each request as a line of JSON.

--tls FOLDER makes it an https proxy. --intercept FOLDER makes it a TLS interceptor: it ends the client's TLS
with the certificate in FOLDER (rogue.pem, rogue.key), opens TLS of its own to the server, and relays what
both say; --strip takes the server's proof out of answers. --refuse makes it refuse everything.
"""
import argparse
import json
import os
import select
import socket
import ssl
import threading

parser = argparse.ArgumentParser()
parser.add_argument("--tls")
parser.add_argument("--intercept")
parser.add_argument("--strip", action="store_true")
parser.add_argument("--refuse", action="store_true")
o = parser.parse_args()


def server_context(folder, name):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(folder, name + ".pem"), os.path.join(folder, name + ".key"))
    context.set_alpn_protocols(["http/1.1"])
    return context


front = server_context(o.tls, "server") if o.tls else None
rogue = server_context(o.intercept, "rogue") if o.intercept else None
back = ssl.create_default_context()
back.check_hostname = False
back.verify_mode = ssl.CERT_NONE


lock = threading.Lock()


def say(**words):
    with lock:
        print(json.dumps(words), flush=True)


def take(source):
    """What is there to read: None for nothing yet, b"" for the end."""
    source.settimeout(0)
    try:
        return source.recv(16384)
    except (ssl.SSLWantReadError, BlockingIOError):
        return None
    except OSError:
        return b""
    finally:
        source.settimeout(10)


def records(data, rest):
    """Whole TLS records (RFC 8446 section 5.1), and the bytes of one that is not complete."""
    data, whole = rest + data, []
    while len(data) >= 5 and len(data) >= 5 + int.from_bytes(data[3:5], "big"):
        size = 5 + int.from_bytes(data[3:5], "big")
        whole.append(data[:size])
        data = data[size:]
    return whole, data


def relay(client, server):
    """In one thread: two of them may not use one TLS object."""
    other = {client: server, server: client}
    rest = b""
    while True:
        ready = [s for s in other if isinstance(s, ssl.SSLSocket) and s.pending()]
        for source in ready or select.select(list(other), [], [], 60)[0]:
            data = take(source)
            if data == b"":
                return
            if not data:
                continue
            # libcurl stalls where an https proxy puts two records of the server into one of its own
            # (curl issue 6936).
            pieces = [strip(data) if source is server else data]
            if front and source is server:
                pieces, rest = records(data, rest)
            for piece in pieces:
                other[source].sendall(piece)


def strip(data):
    if not o.strip:
        return data
    head, gap, body = data.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"authentication-info:")]
    return b"\r\n".join(lines) + gap + body


def serve(plain):
    try:
        client = front.wrap_socket(plain, server_side=True) if front else plain
        head = b""
        while b"\r\n\r\n" not in head:
            data = client.recv(1)
            if not data:
                return
            head += data
        lines = head.decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split()
        say(method=method, target=target, fields=sorted(line.partition(":")[0].lower() for line in lines[1:-2]))
        if o.refuse or method != "CONNECT":
            client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nAuthentication-Info: p=AAAA\r\n\r\n")
            client.shutdown(socket.SHUT_RDWR)
            return
        host, port = target.rsplit(":", 1)
        server = socket.create_connection(("127.0.0.1", int(port)))
        client.sendall(b"HTTP/1.1 200 Connection established\r\nAuthentication-Info: p=AAAA\r\n\r\n")
        if rogue:
            client = rogue.wrap_socket(client, server_side=True)
            server = back.wrap_socket(server, server_hostname=host)
        relay(client, server)
        for end in client, server:
            end.close()
    except (OSError, ValueError) as e:
        say(ended=repr(e))


listener = socket.create_server(("127.0.0.1", 0))
print("listening %d" % listener.getsockname()[1], flush=True)
while True:
    accepted, _ = listener.accept()
    threading.Thread(target=serve, args=(accepted,), daemon=True).start()

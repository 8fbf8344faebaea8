#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A server on pyOpenSSL: the options and the lines that it prints are those of ../node/server.js."""
import socket
import sys
import threading

import peer
from OpenSSL import SSL

o = peer.Options(sys.argv[1:])
context = o.context()
context.use_certificate_chain_file(o.cert)
context.use_privatekey_file(o.cert_key)


def say(words):
    print(words, flush=True)


def serve(plain):
    connection = SSL.Connection(context, plain)
    connection.set_accept_state()
    seen = set()
    try:
        connection.do_handshake()
        while True:
            message = peer.read_message(connection)
            if message is None:
                return
            fields = message[1]
            try:
                info = peer.verify(o, peer.exporter(connection), fields, seen)
                if o.lie:
                    info = info[:2] + ("B" if info[2] == "A" else "A") + info[3:]
                answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n%s%s\r\nok" % (
                    "Connection: close\r\n" if o.close else "",
                    "Authentication-Info: %s\r\n" % info if info else "")
                say("accepted %s %s" % (connection.get_protocol_version_name(),
                                        fields.get("authorization") or fields.get("apikey")))
            except Exception as e:  # whatever is wrong with a request, the answer is the same
                answer = ('HTTP/1.1 401 Unauthorized\r\nContent-Length: 7\r\n'
                          'WWW-Authenticate: EKMOTP realm="python"\r\n\r\nrefused')
                say("refused %s" % e)
            connection.sendall(answer.encode())
            if o.close or fields.get("connection") == "close":
                connection.shutdown()
                return
    except (SSL.Error, OSError) as e:
        say("connection ended: %r" % e)
    finally:
        plain.close()


listener = socket.create_server(("127.0.0.1", int(getattr(o, "port", "0"))))
say("listening %d" % listener.getsockname()[1])
while True:
    accepted, _ = listener.accept()
    threading.Thread(target=serve, args=(accepted,), daemon=True).start()

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A client on pyOpenSSL: the options and the checks are those of ../node/client.js."""
import re
import socket
import sys
from urllib.parse import urlsplit

import peer
import reference as ref
from OpenSSL import SSL

PROBE = (b"EXPERIMENTAL-matrix", b"matrix", 32)
o = peer.Options(sys.argv[1:])
url = urlsplit(o.url)
context = o.context()
context.load_verify_locations(o.ca)
context.set_verify(SSL.VERIFY_PEER)


def connect(session=None):
    connection = SSL.Connection(context, socket.create_connection((url.hostname, url.port), timeout=10))
    connection.setblocking(True)
    connection.set_tlsext_host_name(url.hostname.encode())
    connection.set_connect_state()
    if session:
        connection.set_session(session)
    connection.do_handshake()
    return connection


def request(connection, headers):
    lines = ["GET %s HTTP/1.1" % url.path, "Host: %s:%d" % (url.hostname, url.port)]
    lines += ["%s: %s" % item for item in headers.items()]
    connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
    first, fields, _ = peer.read_message(connection) or peer.die("the server closed the connection")
    return int(first.split()[1]), fields


def accepted(connection, n):
    headers = peer.credentials(o, peer.exporter(connection), n)
    status, fields = request(connection, headers)
    if status != 200:
        peer.die("request %d: status %d, not 200" % (n, status))
    if o.profile.startswith("v1"):
        wanted = ref.V1(peer.exporter(connection), o.key, o.id_bytes, o.hash).authentication_info(n)
        if fields.get("authentication-info") != wanted:
            peer.die("request %d: the server's proof is missing or wrong" % n)
    return headers


def refused(connection, headers, what):
    status, fields = request(connection, headers)
    challenge = fields.get("www-authenticate", "")
    if status != 401 or not challenge.startswith('EKMOTP realm="') or "authentication-info" in fields:
        peer.die("%s: status %d, %s; not a uniform 401" % (what, status, fields))


def flipped(headers):
    changed = dict(headers)
    name = "apikey" if "apikey" in changed else "Authorization"
    # The third character of the proof, of the signature, or of the tag.
    place = {"a": "^..", "E": "p=..", "B": r"\...(?=[^.]*$)"}[name[0] if name == "apikey" else changed[name][0]]
    at = re.search(place, changed[name]).end()
    other = "B" if changed[name][at] == "A" else "A"
    changed[name] = changed[name][:at] + other + changed[name][at + 1:]
    return changed


one = connect()
first = accepted(one, 1)
accepted(one, 2)
refused(one, flipped(peer.credentials(o, peer.exporter(one), 3)), "one bit changed")
if o.profile.startswith("v1"):
    refused(one, first, "the same request again")
refused(one, {}, "no credentials")
resume = o.event == "resumed"
two = connect(one.get_session() if resume else None)
refused(two, first, "the same proof on a second connection")
accepted(two, 1)
if peer.exporter(one)(*PROBE) == peer.exporter(two)(*PROBE):
    peer.die("both connections export the same")
print("ok %s %s %s" % (o.profile, o.hash, one.get_protocol_version_name()))

#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""What refuses before a verdict, and what ekmotpd alone says of verdicts."""
import hmac

import harness
import reference
from harness import SSL, Directory, Server, Tls, check, same

directory = Directory()
server = Server(directory=directory)


def test_tls_1_1():
    try:
        Tls(server.port, version="1.1")
    except SSL.Error:
        pass
    else:
        check(False, "TLS 1.1 is spoken")
    server.wait_log("event=handshake-failed .*reason=.*(protocol|version)")


def test_two_authorizations():
    c = Tls(server.port)
    p = c.proof(directory, 1)
    same("status", c.request(authorization=p, fields=["Authorization: " + p]).status, 401)
    server.wait_refusal("duplicate-field")


def test_alpn():
    c = Tls(server.port, alpn=[b"h2", b"http/1.1"])
    same("chosen", c.tls.get_alpn_proto_negotiated(), b"http/1.1")
    try:
        Tls(server.port, alpn=[b"h2"])
    except SSL.Error:
        return
    check(False, "a client that speaks HTTP/2 alone gets through")


def test_whoami():
    c = Tls(server.port)
    r = c.request("/whoami", authorization=c.proof(directory, 1))
    same("type", r.fields["content-type"], "application/json")
    same("body", r.body, b'{"client":"alice","profile":"v1"}\n')
    # Claims are shown as they were signed, also an n that is no signed 64-bit number.
    v1 = reference.V1(c.export, directory.keys["alice"], b"alice")
    claims = '{"n":%d,"sub":"alice"}' % (2**64 - 2)
    text = reference.b64url(b'{"alg":"HS256","kid":"alice"}') + "." + reference.b64url(claims.encode())
    mac = hmac.digest(v1.jws_key(), text.encode(), "sha256")
    r = c.request("/whoami", authorization="Bearer " + text + "." + reference.b64url(mac))
    same("with claims", r.body, ('{"client":"alice","profile":"v1","claims":%s}\n' % claims).encode())


def test_show_derived():
    shown = Server("--show-derived", directory=directory)
    c = Tls(shown.port)
    p = c.proof(directory, 1)
    same("status", c.request(authorization=p).status, 200)
    value = dict(x.split("=", 1) for x in p[7:].split(", "))["p"]
    shown.wait_log("event=derived .*client=alice profile=v1 value=" + value)
    shown.stop()


harness.main()

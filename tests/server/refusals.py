#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""What refuses before a verdict, and what ekmotpd alone says of verdicts."""
import hmac
import re
import time

import harness
import reference
from harness import SSL, Directory, Server, Tls, check, same, wait_for

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


def refuse(c, count):
    """Requests without credentials, pipelined, and their answers read."""
    c.send("GET /get HTTP/1.1\r\nHost: a\r\n\r\n" * count)
    for _ in range(count):
        same("status", c.response().status, 401)


def suppressed(log, reason):
    return sum(int(n) for n in re.findall(r"event=refusals-suppressed reason=%s suppressed=(\d+)$" % reason, log, re.M))


def test_the_log_has_a_quota_for_refusals():
    """Every refusal is in the log or in a count of what is missing there, and the metrics know each."""
    quiet = Server("--log-refusals", "5", "--threads", "2", directory=directory)
    start = time.monotonic()
    c = Tls(quiet.port)
    refuse(c, 400)
    for _ in range(30):
        try:
            Tls(quiet.port, version="1.1")
        except SSL.Error:
            pass
    for _ in range(30):
        bad = Tls(quiet.port)
        bad.send("nonsense\r\n\r\n")
        same("status", bad.response().status, 400)
        bad.close()
    for n in range(1, 101):
        same("let in", c.request(authorization=c.proof(directory, n)).status, 200)
    quiet.wait_log("event=refusals-suppressed reason=no-credentials ")  # while the server runs
    counted = {"no-credentials": quiet.refusals("no-credentials"),
               "bad-request": quiet.metric('ekmotp_requests_total{status="400"}'),
               "handshake-failed": quiet.metric("ekmotp_handshakes_failed_total")}
    same("counted", counted, {"no-credentials": 400, "bad-request": 30, "handshake-failed": 30})
    quiet.stop()
    seconds, log = time.monotonic() - start, quiet.log()
    lines = {"no-credentials": len(re.findall("event=request .*reason=no-credentials", log)),
             "bad-request": len(re.findall("event=request .*status=400", log)),
             "handshake-failed": len(re.findall("event=handshake-failed", log))}
    print("lines of refusals in %.1f s: %s" % (seconds, lines))
    check(50 <= sum(lines.values()) <= 50 + 5 * seconds, "not ten times five lines at once, and five a second")
    for reason, count in counted.items():
        same("lines and counts of " + reason, lines[reason] + suppressed(log, reason), count)
    same("lines of those let in", len(re.findall("event=request .*reason=ok", log)), 100)
    told = re.findall("^time=(\\S+)\\.\\d+Z .*event=refusals-suppressed reason=(\\S+)", log, re.M)
    check(len(told) <= len(lines) * (seconds + 2), "told more than once a second:", told)


def test_the_quota_fills_again():
    quiet = Server("--log-refusals", "1", directory=directory)
    c = Tls(quiet.port)
    refuse(c, 20)
    quiet.wait_log("event=refusals-suppressed reason=no-credentials ")

    def logged():
        refuse(c, 1)
        return len(re.findall("event=request .*reason=no-credentials", quiet.log())) > 10

    wait_for("a line again", logged)
    quiet.stop()
    every = Server("--log-refusals", "0", directory=directory)
    refuse(Tls(every.port), 500)
    every.stop()
    same("lines without a quota", every.log().count("reason=no-credentials"), 500)


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

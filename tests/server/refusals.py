#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""One refusal for every reason: the same bytes for the peer, the reason in the log and in the metrics."""
import hmac
import os

import harness
import reference
from harness import NO_EMS, SSL, Closed, Directory, Server, Tls, check, client, same

directory = Directory("alice", "bob", "off", "apikey")
client("disable", directory.file, "off")
client("set", directory.file, "apikey", "--profile", "compat-apikey")
directory.add("late", "--not-before", "+1d")
directory.add("gone", "--not-after", "@1000000000")
directory.add("sha512", "--hash", "SHA-512")
server = Server("--profile", "v1,compat-apikey", directory=directory)


def refusal(reason, authorization=None, c=None, fields=(), **request):
    """The request is refused for this reason; returns the bytes of the answer."""
    own = c or Tls(server.port)
    before = server.metric('ekmotp_verdicts_total{reason="%s"}' % reason)
    r = own.request(authorization=authorization, fields=fields, **request)
    same("status (%s)" % reason, r.status, 401)
    check("authentication-info" not in r.fields, "a server proof in a refusal")
    same("verdicts (%s)" % reason, server.metric('ekmotp_verdicts_total{reason="%s"}' % reason), before + 1)
    server.wait_log("event=request .*status=401 reason=%s" % reason)
    if not c:
        own.close()
    return r.bytes_without_date()


def proof(who="alice", n=1, key=None, c=None, hash_name="SHA-256"):
    c = c or Tls(server.port)
    return c, c.proof(directory, n, who, key, hash_name)


def changed(value, name, new):
    """An auth-param replaced."""
    return ", ".join(name + "=" + new if p.split("=")[0] == name else p for p in value.split(", "))


def test_uniform():
    answers = {"no-credentials": refusal("no-credentials")}
    answers["malformed"] = refusal("malformed", "EKMOTP nonsense")
    c, p = proof()
    answers["duplicate-field"] = refusal("duplicate-field", p, c, ["Authorization: " + p])
    c, p = proof()
    answers["wrong-proof"] = refusal("wrong-proof", changed("X " + p[7:], "p", reference.b64url(bytes(32))).replace(
        "X ", "EKMOTP "), c)
    c, p = proof(key=bytes(32))
    answers["wrong key"] = refusal("wrong-proof", p, c)
    c, p = proof("nobody", key=bytes(32))
    answers["unknown-client"] = refusal("unknown-client", p, c)
    for who, reason in [("off", "disabled"), ("late", "key-not-yet-valid"), ("gone", "key-expired"),
                        ("apikey", "profile")]:
        c, p = proof(who)
        answers[reason] = refusal(reason, p, c)
    _, p = proof()
    answers["other-session"] = refusal("other-session", p)
    c, p = proof()
    same("first", c.request(authorization=p).status, 200)
    answers["replay"] = refusal("replay", p, c)
    c, p = proof(n=100)
    same("first", c.request(authorization=p).status, 200)
    answers["too-old"] = refusal("too-old", proof(n=36, c=c)[1], c)
    answers["other-client"] = refusal("other-client", proof("bob", 1, c=c)[1], c)
    same("after all", c.request(authorization=proof(n=101, c=c)[1]).status, 200)
    c = Tls(server.port, version="1.2", options=NO_EMS)
    answers["tls-ems"] = refusal("tls-ems", c.proof(directory, 1), c)
    c, p = proof("sha512")
    answers["wrong hash"] = refusal("other-session", p, c)  # the hash is in the exporter's context
    for reason, answer in answers.items():
        same("the bytes for " + reason, answer, answers["no-credentials"])


def test_uniform_on_every_path():
    want = refusal("no-credentials")
    for target in ("/", "/whoami", "/nothing", "/static/x", "/metrics", "/get?x"):
        same("401 of " + target, refusal("no-credentials", target=target), want)
    same("401 of POST", refusal("no-credentials", method="POST"), want)


def test_accepted_after_refused():
    """A refusal spoils nothing: neither the connection nor the window."""
    c = Tls(server.port)
    for n in range(1, 5):
        same("none", c.request().status, 401)
        same("right", c.request(authorization=c.proof(directory, n)).status, 200)
        same("again", c.request(authorization=c.proof(directory, n)).status, 401)


def test_window():
    c = Tls(server.port)
    for n in (70, 7, 8, 69, 71, 2 ** 64 - 1):
        same("n = %d" % n, c.request(authorization=c.proof(directory, n)).status, 200)
    for n in (70, 71, 1, 2 ** 64 - 1):
        same("n = %d" % n, c.request(authorization=c.proof(directory, n)).status, 401)


def test_versions():
    for version, options, status in [("1.3", 0, 200), ("1.2", 0, 200), ("1.2", NO_EMS, 401)]:
        c = Tls(server.port, version=version, options=options)
        same("TLS " + version, c.request(authorization=c.proof(directory, 1)).status, status)
    try:
        Tls(server.port, version="1.1")
    except SSL.Error:
        pass
    else:
        check(False, "TLS 1.1 is spoken")
    server.wait_log("event=handshake-failed .*reason=.*(protocol|version)")


def test_renegotiation_is_refused():
    c = Tls(server.port, version="1.2")
    same("before", c.request(authorization=c.proof(directory, 1)).status, 200)
    check(c.tls.renegotiate(), "the client does not ask")
    try:
        c.tls.do_handshake()
        status = c.request(authorization=c.proof(directory, 2)).status
    except (SSL.Error, Closed):
        return
    check(status != 200, "renegotiated, and let in")


def test_resumed_channel_is_another_one():
    for version in ("1.2", "1.3"):
        c = Tls(server.port, version=version)
        p = c.proof(directory, 1)
        same("first", c.request(authorization=p).status, 200)
        session = c.tls.get_session()
        d = Tls(server.port, version=version, session=session)
        same("the old proof on the resumed connection", d.request(authorization=p).status, 401)
        same("a new one", d.request(authorization=d.proof(directory, 1)).status, 200)


def test_alpn():
    c = Tls(server.port, alpn=[b"h2", b"http/1.1"])
    same("chosen", c.tls.get_alpn_proto_negotiated(), b"http/1.1")
    try:
        Tls(server.port, alpn=[b"h2"])
    except SSL.Error:
        return
    check(False, "a client that speaks HTTP/2 alone gets through")


def test_compat_apikey():
    import base64
    c = Tls(server.port)
    value = base64.b64encode(reference.compat_apikey(c.export, directory.keys["apikey"], b"apikey")).decode()
    fields = ["client: apikey", "apikey: " + value]
    for _ in range(2):  # no n: the same value holds on its channel
        r = c.request(fields=fields)
        same("status", r.status, 200)
        check("authentication-info" not in r.fields, "compat-apikey has no server proof")
    same("on another channel", Tls(server.port).request(fields=fields).status, 401)
    same("not alice's profile", c.request(fields=["client: alice", "apikey: " + value]).status, 401)


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


def test_log_holds_no_secret():
    c = Tls(server.port)
    p = c.proof(directory, 1)
    same("status", c.request("/get?token=in-the-query", authorization=p).status, 200)
    server.wait_log("path=/get")
    log = server.log()
    check("in-the-query" not in log, "the query is in the log")
    for part in p[7:].split(", "):
        name, value = part.split("=", 1)
        check(name == "n" or len(value) < 16 or value not in log, "the log holds", name)
    for key in directory.keys.values():
        for text in (key.hex(), reference.b64url(key)):
            check(text not in log, "the log holds a key")


def test_show_derived():
    shown = Server("--show-derived", directory=directory)
    c = Tls(shown.port)
    p = c.proof(directory, 1)
    same("status", c.request(authorization=p).status, 200)
    value = dict(x.split("=", 1) for x in p[7:].split(", "))["p"]
    shown.wait_log("event=derived .*client=alice profile=v1 value=" + value)
    shown.stop()


def test_the_reason_is_not_in_the_time():
    """An unknown client costs what a wrong proof costs: medians of alternating requests."""
    import statistics
    import time
    samples = {"unknown": [], "wrong": []}
    c = {"unknown": Tls(server.port), "wrong": Tls(server.port)}
    p = {"unknown": c["unknown"].proof(directory, 1, "nobody", os.urandom(32)),
         "wrong": c["wrong"].proof(directory, 1, "alice", os.urandom(32))}
    for _ in range(400):
        for kind in samples:
            start = time.perf_counter()
            same(kind, c[kind].request(authorization=p[kind]).status, 401)
            samples[kind].append(time.perf_counter() - start)
    medians = {k: statistics.median(v) * 1e6 for k, v in samples.items()}
    print("medians in microseconds:", {k: round(v, 1) for k, v in medians.items()})
    apart = abs(medians["unknown"] - medians["wrong"]) / min(medians.values())
    check(apart < 0.25, "the time tells them apart:", medians)


harness.main()

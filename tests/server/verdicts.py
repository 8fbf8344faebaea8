#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""Verdicts over HTTP: what is let in, and one refusal for every reason, the same bytes for the peer, the reason
in the log. It runs on ekmotpd, and on nginx by tests/nginx/verdicts.py: nothing here is of one of them alone."""
import base64
import json
import re

import harness
import reference
from harness import NO_EMS, SSL, Closed, Directory, Tls, check, client, same

directory = Directory("alice", "bob", "off", "apikey")
client("disable", directory.file, "off")
client("set", directory.file, "apikey", "--profile", "compat-apikey")
directory.add("late", "--not-before", "+1d")
directory.add("gone", "--not-after", "@1000000000")
directory.add("sha512", "--hash", "SHA-512")
server = harness.Server.offering(directory, "v1", "compat-apikey")


def refusal(reason, authorization=None, c=None, fields=(), **request):
    """The request is refused for this reason; returns the bytes of the answer."""
    own = c or Tls(server.port)
    before = server.refusals(reason)
    r = own.request(authorization=authorization, fields=fields, **request)
    same("status (%s)" % reason, r.status, 401)
    check("authentication-info" not in r.fields, "a server proof in a refusal")
    same("verdicts (%s)" % reason, server.refusals(reason), before + 1)
    server.wait_refusal(reason)
    if not c:
        own.close()
    return r.bytes_without_date()


def proof(who="alice", n=1, key=None, c=None, hash_name="SHA-256"):
    c = c or Tls(server.port)
    return c, c.proof(directory, n, who, key, hash_name)


def changed(value, name, new):
    """An auth-param replaced."""
    return re.sub(r"\b%s=[^,]*" % name, lambda _: name + "=" + new, value)


def test_uniform():
    answers = {"no-credentials": refusal("no-credentials")}
    answers["malformed"] = refusal("malformed", "EKMOTP nonsense")
    answers["duplicate-field"] = refusal("duplicate-field", fields=["client: apikey", "client: apikey", "apikey: x"])
    c, p = proof()
    answers["wrong-proof"] = refusal("wrong-proof", changed(p, "p", reference.b64url(bytes(32))), c)
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


def test_malformed():
    """What no client of ours would send; a right request on the same connection is let in afterwards."""
    c, p = proof()
    parts = dict(x.split("=", 1) for x in p[7:].split(", "))
    want = refusal("no-credentials", c=c)
    wrong = ["EKMOTP", "EKMOTP nonsense", "EKMOTP k=" + parts["k"], p + "," + p[7:], p + ", k=" + parts["k"],
             "EKMOTP " + p, p.replace("EKMOTP", "Basic"), p[7:], "Basic YWxpY2U6eA=="]
    wrong += [changed(p, "n", n) for n in ("0", "01", "-1", "+1", "1.0", "x", "", str(2 ** 64), "9" * 30)]
    wrong += [changed(p, "k", k) for k in ("", "Y", "YWxpY2U=", "YWxpY2V", "a b", '"YWxpY2U')]
    for name in "pv":
        wrong += [changed(p, name, value) for value in ("", parts[name][:-1], parts[name] + "A", parts[name] + "=",
                                                        "+" + parts[name][1:], parts[name][:-1] + "_")]
    for value in wrong:
        same("the bytes for " + value, refusal("malformed", value, c), want)
    same("a right one", c.request(authorization=p).status, 200)


def test_reflection():
    """The server's own proof is no client's proof, neither the one it just sent nor another."""
    c, p = proof()
    r = c.request(authorization=p)
    v1 = c.proofs[("alice", directory.keys["alice"])]
    same("the server's proof", r.fields["authentication-info"], v1.authentication_info(1))
    for n in (1, 2, 3):
        sent = changed(c.proof(directory, n), "p", reference.b64url(v1.server_proof(n)))
        refusal("wrong-proof", sent, c)
    same("after all", c.request(authorization=c.proof(directory, 2)).status, 200)


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


def test_pipelining():
    c = Tls(server.port)
    n = 200
    c.send("".join("GET /get?%d HTTP/1.1\r\nHost: a\r\nAuthorization: %s\r\n\r\n" % (i, c.proof(directory, i))
                   for i in range(1, n + 1)))
    for i in range(1, n + 1):
        r = c.response()
        same("status %d" % i, r.status, 200)
        same("proof %d" % i, r.fields["authentication-info"],
             c.proofs[("alice", directory.keys["alice"])].authentication_info(i))
    c.send("".join("GET /get HTTP/1.1\r\nHost: a\r\n%s\r\n" % field for field in (
        "Authorization: %s\r\n" % c.proof(directory, n + 1), "", "Authorization: %s\r\n" % c.proof(directory, n + 1),
        "Authorization: %s\r\n" % c.proof(directory, n + 2))))
    same("statuses", [c.response().status for _ in range(4)], [200, 401, 401, 200])


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


def test_compat_apikey():
    c = Tls(server.port)
    value = base64.b64encode(reference.compat_apikey(c.export, directory.keys["apikey"], b"apikey")).decode()
    fields = ["client: apikey", "apikey: " + value]
    for _ in range(2):  # no n: the same value holds on its channel
        r = c.request(fields=fields)
        same("status", r.status, 200)
        check("authentication-info" not in r.fields, "compat-apikey has no server proof")
    same("on another channel", Tls(server.port).request(fields=fields).status, 401)
    same("not alice's profile", c.request(fields=["client: alice", "apikey: " + value]).status, 401)


class Token:
    """JWTs for a channel, right unless something is named: header fields, claims, key."""

    def __init__(self, c, who="alice"):
        self.v1, self.who = reference.V1(c.export, directory.keys[who], who.encode()), who

    def jws(self, n, header=(), claims=(), key=None):
        parts = [dict({"alg": "HS256", "kid": self.who}, **dict(header)), dict({"n": n, "sub": self.who}, **dict(claims))]
        text = ".".join(reference.b64url(json.dumps(part).encode()) for part in parts)
        mac = reference.hmac_of("SHA-256", key or self.v1.jws_key(), text.encode())
        return "Bearer " + text + "." + reference.b64url(mac)


def test_jwt():
    c, d = Tls(server.port), Tls(server.port)
    t = Token(c)
    want = refusal("no-credentials", c=c)
    first = t.jws(1)
    r = c.request(authorization=first)
    same("status", r.status, 200)
    same("the server's proof", r.fields["authentication-info"], t.v1.authentication_info(1))
    same("n = 100", c.request(authorization=t.jws(100)).status, 200)
    cut = first.rsplit(".", 1)[0] + "."
    none = "Bearer %s." % ".".join(reference.b64url(json.dumps(x).encode())
                                   for x in ({"alg": "none", "kid": "alice"}, {"n": 101, "sub": "alice"}))
    for reason, value in [
            ("replay", t.jws(100)), ("too-old", first), ("too-old", t.jws(36)), ("malformed", "Bearer x"),
            ("malformed", cut), ("malformed", none), ("wrong-proof", t.jws(101, key=bytes(32))),
            ("malformed", t.jws(101, {"alg": "HS512"})), ("claims", t.jws(101, claims={"sub": "bob"})),
            ("claims", t.jws(101, claims={"exp": 1})), ("malformed", t.jws(0)), ("malformed", t.jws("1")),
            ("other-client", t.jws(101, {"kid": "nobody"})), ("other-client", Token(c, "bob").jws(1))]:
        same("the bytes for %s, %s" % (reason, value), refusal(reason, value, c), want)
    same("an unknown client", refusal("unknown-client", t.jws(101, {"kid": "nobody"}), d), want)
    same("not its profile", refusal("profile", Token(d, "apikey").jws(1), d), want)
    same("on another channel", refusal("wrong-proof", t.jws(101), d), want)
    same("after all", c.request(authorization=t.jws(101)).status, 200)
    same("the same n as header field", c.request(authorization=c.proof(directory, 101)).status, 401)
    same("the next n as header field", c.request(authorization=c.proof(directory, 102)).status, 200)


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


def test_still_well():
    same("status", Tls(server.port).request().status, 401)
    server.stop()


harness.main()

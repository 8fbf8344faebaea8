#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""HTTP as RFC 9112 wants it: what can be understood in two ways is refused, what is right is served."""
import harness
from harness import Closed, Directory, Server, Tls, check, same

directory = Directory()
server = Server("--header-size", "4096", "--body-size", "1000",
                "--handler", "/echo=%s/docs/examples/.libs/handler.so" % harness.build, directory=directory)
GET = "GET /get HTTP/1.1\r\n"


def bad(raw, status=400, why=None):
    """The raw bytes get this status and the end of the connection, and the log says why."""
    c = Tls(server.port)
    c.send(raw)
    r = c.response()
    same("status of %r" % raw[:80], r.status, status)
    same("Connection of %r" % raw[:80], r.fields.get("connection"), "close")
    check("www-authenticate" not in r.fields, "a challenge in a 400")
    check(c.closed(), "still open after %r" % raw[:80])
    same("what follows", c.data, b"")
    c.close()
    if why:
        server.wait_log(why)


def test_framing_refused():
    for raw, why in [
        (GET + "Host: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", "Content-Length field stands twice"),
        (GET + "Host: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", "Content-Length field stands twice"),
        (GET + "Host: a\r\ncontent-length: 1\r\nCONTENT-LENGTH: 1\r\n\r\nx", None),
        (GET + "Host: a\r\nContent-Length: 1, 1\r\n\r\nx", "Content-Length field is no number"),
        (GET + "Host: a\r\nContent-Length: +1\r\n\r\nx", None),
        (GET + "Host: a\r\nContent-Length: -1\r\n\r\n", None),
        (GET + "Host: a\r\nContent-Length: 0x1\r\n\r\nx", None),
        (GET + "Host: a\r\nContent-Length:\r\n\r\n", None),
        (GET + "Host: a\r\nContent-Length: 18446744073709551617\r\n\r\n", None),
        (GET + "Host: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "contradict"),
        (GET + "Host: a\r\nTransfer-Encoding: gzip\r\n\r\n", "not \\\\\"chunked"),
        (GET + "Host: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", None),
        (GET + "Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", None),
        ("GET /get HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.0 has no"),
    ]:
        bad(raw, why=why)


def test_host_refused():
    for raw, why in [
        (GET + "\r\n", "Host field is missing"),
        (GET + "Accept: */*\r\n\r\n", "Host field is missing"),
        (GET + "Host: a\r\nHost: a\r\n\r\n", "Host field stands twice"),
        (GET + "Host: a\r\nhost: b\r\n\r\n", "Host field stands twice"),
        (GET + "Host:\r\n\r\n", "Host field is malformed"),
        (GET + "Host: a b\r\n\r\n", None),
        (GET + "Host: a/b\r\n\r\n", None),
        (GET + "Host: user@a\r\n\r\n", None),
        (GET + "Host: " + "a" * 301 + "\r\n\r\n", None),
    ]:
        bad(raw, why=why)


def test_fields_refused():
    for raw, why in [
        (GET + "Host : a\r\n\r\n", "white space stands before a colon"),
        (GET + "Host: a\r\nX\t: b\r\n\r\n", "white space stands before a colon"),
        (GET + "Host: a\r\nX: b\r\n c\r\n\r\n", "folded"),
        (GET + "Host: a\r\nX: b\r\n\tc\r\n\r\n", "folded"),
        (GET + " Host: a\r\n\r\n", "folded"),
        (GET + "Host: a\nX: b\r\n\r\n", "without a carriage return"),
        (GET + "Host: a\r\nX: b\rc\r\n\r\n", "stands alone"),
        (GET + "Host: a\r\nX: b\0c\r\n\r\n", "control character"),
        (GET + "Host: a\r\nX: b\x7fc\r\n\r\n", "control character"),
        (GET + "Host: a\r\n: b\r\n\r\n", "no valid name"),
        (GET + "Host: a\r\nno colon\r\n\r\n", None),
        (GET + "Host: a\r\nX\xe4: b\r\n\r\n", None),
        (GET + "Host: a\r\nX(y): b\r\n\r\n", None),
        (GET + "Host: a\r\nExpect: 200-ok\r\n\r\n", "Expect"),
        (GET + "Host: a\r\n" + "X: y\r\n" * 100 + "\r\n", "too many header fields"),
        (GET + "Host: a\r\nX: " + "y" * 5000 + "\r\n\r\n", "head is larger"),
        (GET + "Host: a\r\nX: " + "y" * 20000, "head is larger"),
    ]:
        bad(raw, why=why)


def test_request_line_refused():
    for line in ["GET /get", "GET  /get HTTP/1.1", "GET /get  HTTP/1.1", "GET\t/get HTTP/1.1", " GET /get HTTP/1.1",
                 "GET /get HTTP/1.1 ", "GET /get HTTP/2.0", "GET /get HTTP/0.9", "GET /get HTTP/1.2", "GET /get http/1.1",
                 "GET get HTTP/1.1", "GET http://a/get HTTP/1.1", "GET https:///get HTTP/1.1", "GET /a#b HTTP/1.1",
                 "GET /\xe4 HTTP/1.1", "GET /a\0b HTTP/1.1", "G(T /get HTTP/1.1", "CONNECT a:443 HTTP/1.1",
                 "X" * 33 + " /get HTTP/1.1", ""]:
        bad(line + "\r\nHost: a\r\n\r\n")
    bad("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\r\n")
    bad("\r\n\r\n" + GET + "Host: a\r\n\r\n")  # one empty line is let pass, two are not


def test_served():
    c = Tls(server.port)
    n = 0

    def right(raw_line, fields="", status=200):
        nonlocal n
        n += 1
        c.send("%s\r\nAuthorization: %s\r\n%s\r\n" % (raw_line, c.proof(directory, n), fields))
        r = c.response(raw_line.startswith("HEAD"))
        same("status of %r %r" % (raw_line, fields), r.status, status)
        check("authentication-info" in r.fields, "no Authentication-Info for", raw_line)
        return r

    same("body", right("GET /get HTTP/1.1\r\nHost: a").body, b"ok")
    right("\r\nGET /get HTTP/1.1\r\nHost: a")
    right("GET /get?a=b HTTP/1.1\r\nhOST: [::1]:443")
    right("GET https://a:1/get HTTP/1.1\r\nHost: a")
    right("GET /get HTTP/1.1\r\nHost: a", "X:\r\nY: \t z \t\r\nZ: \xe4\r\n")
    right("GET /get HTTP/1.1\r\nHost: a", "Content-Length: 0\r\n")
    right("GET /get HTTP/1.0", "Connection: keep-alive\r\n")
    r = right("HEAD /get HTTP/1.1\r\nHost: a")
    same("length of HEAD", r.fields["content-length"], "2")
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"):
        same("Allow", right(method + " /get HTTP/1.1\r\nHost: a", status=405).fields["allow"], "GET, HEAD")
        right(method + " /nothing HTTP/1.1\r\nHost: a", status=404)
    right("OPTIONS * HTTP/1.1\r\nHost: a", status=404)
    r = right("GET /get HTTP/1.1\r\nHost: a", "Connection: close\r\n")
    same("Connection", r.fields["connection"], "close")
    check(c.closed(), "open after Connection: close")


def test_http_1_0_closes():
    c = Tls(server.port)
    c.send("GET /get HTTP/1.0\r\nAuthorization: %s\r\n\r\n" % c.proof(directory, 1))
    same("status", c.response().status, 200)
    check(c.closed(), "open after HTTP/1.0 without keep-alive")


def test_bodies():
    c = Tls(server.port)
    n = 0

    def post(fields, body, status=200, expect=None):
        nonlocal n
        n += 1
        c.send("POST /echo HTTP/1.1\r\nHost: a\r\nAuthorization: %s\r\n%s\r\n" % (c.proof(directory, n), fields))
        c.send(body)
        r = c.response()
        same("status of %r %r" % (fields, body), r.status, status)
        if expect is not None:
            same("body", r.body, expect)

    post("Content-Length: 3\r\n", "abc", expect=b"abc")
    post("Content-Length: 1000\r\n", "x" * 1000, expect=b"x" * 1000)
    post("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n00a\r\n0123456789\r\n0\r\n\r\n", expect=b"abc0123456789")
    post("Transfer-Encoding: Chunked\r\n", "0\r\n\r\n", expect=b"")
    n += 1
    c.send("POST /echo HTTP/1.1\r\nHost: a\r\nAuthorization: %s\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
           % c.proof(directory, n))
    same("continue", c.response().status, 100)
    c.send("hi")
    same("after continue", c.response().body, b"hi")
    for byte in b"POST /echo HTTP/1.1\r\nHost: a\r\nAuthorization: " + c.proof(directory, n + 1).encode() + \
            b"\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n":
        c.send(bytes([byte]))  # a TLS record for each byte
    same("byte by byte", c.response().body, b"ab")


def test_bodies_refused():
    for fields, body, status in [
        ("Content-Length: 1001\r\n", "", 413),
        ("Content-Length: 999999999999999999\r\n", "", 413),
        ("Transfer-Encoding: chunked\r\n", "3e9\r\n", 413),
        ("Transfer-Encoding: chunked\r\n", "3e8\r\n" + "x" * 1000 + "\r\n1\r\n", 413),
        ("Transfer-Encoding: chunked\r\n", "ffffffff\r\n", 413),
        ("Transfer-Encoding: chunked\r\n", "123456789\r\n", 400),
        ("Transfer-Encoding: chunked\r\n", "\r\n", 400),
        ("Transfer-Encoding: chunked\r\n", "g\r\n", 400),
        ("Transfer-Encoding: chunked\r\n", "0x1\r\n", 400),
        ("Transfer-Encoding: chunked\r\n", "-1\r\n", 400),
        ("Transfer-Encoding: chunked\r\n", "1 \r\na\r\n", 400),
        ("Transfer-Encoding: chunked\r\n", "1;a=b\r\na\r\n", 400),
        ("Transfer-Encoding: chunked\r\n", "1\na\r\n", 400),
        ("Transfer-Encoding: chunked\r\n", "1\r\nab\r\n", 400),
        ("Transfer-Encoding: chunked\r\n", "1\r\na\n", 400),
        ("Transfer-Encoding: chunked\r\n", "0\r\nX: y\r\n\r\n", 400),
    ]:
        c = Tls(server.port)
        c.send("POST /echo HTTP/1.1\r\nHost: a\r\nAuthorization: %s\r\n%s\r\n" % (c.proof(directory, 1), fields) + body)
        r = c.response()
        same("status of %r %r" % (fields, body[:20]), r.status, status)
        check("authentication-info" in r.fields, "the head was verified: the server proves itself")
        check(c.closed(), "still open after %r" % body[:20])


def test_body_of_the_unverified_is_not_read():
    c = Tls(server.port)
    c.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\nExpect: 100-continue\r\n\r\n")
    r = c.response()
    same("status", r.status, 401)
    same("Connection", r.fields["connection"], "close")
    check(c.closed(), "the connection waits for the body")


def test_smuggling():
    """A body is never read as a request, whatever it looks like."""
    inner = "GET /get HTTP/1.1\r\nHost: a\r\n\r\n"
    c = Tls(server.port)
    c.send("POST /echo HTTP/1.1\r\nHost: a\r\nAuthorization: %s\r\nContent-Length: %d\r\n\r\n%s"
           % (c.proof(directory, 1), len(inner), inner))
    same("body", c.response().body, inner.encode())
    same("next", c.request(authorization=c.proof(directory, 2)).body, b"ok")


def test_bad_in_a_pipeline():
    c = Tls(server.port)
    # right, wrong, right, bad: answers in order, and nothing behind the bad one
    c.send(GET + "Host: a\r\nAuthorization: %s\r\n\r\n" % c.proof(directory, 1) + GET + "Host: a\r\n\r\n" +
           GET + "Host: a\r\nAuthorization: %s\r\n\r\n" % c.proof(directory, 2) + GET + "\r\n" +
           GET + "Host: a\r\nAuthorization: %s\r\n\r\n" % c.proof(directory, 3))
    same("statuses", [c.response().status for _ in range(4)], [200, 401, 200, 400])
    check(c.closed(), "still open after a bad request")
    same("behind a bad request", c.data, b"")


def test_large_pipeline_to_a_slow_reader():
    """More answers than socket buffers hold: the server neither buffers without end nor loses one."""
    c = Tls(server.port)
    c.socket.setsockopt(harness.socket.SOL_SOCKET, harness.socket.SO_SNDBUF, 4 << 20)
    n = 0
    for _ in range(40):
        c.send("".join("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n" for i in range(100)))
        n += 100
    for _ in range(n):
        same("status", c.response().status, 401)


def test_still_well():
    c = Tls(server.port)
    same("status", c.request(authorization=c.proof(directory, 1)).status, 200)
    server.stop()


def test_closed_by_peer():
    try:
        Tls(server.port)
    except (Closed, OSError):
        return
    check(False, "a stopped server takes connections")


harness.main()

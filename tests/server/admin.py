#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""The admin listener, static files, handlers: what is given out, and to whom."""
import json
import os
import re
import socket

import harness
from harness import Directory, Server, Tls, check, path, same, wait_for

directory = Directory()
web = path("web")
os.makedirs(os.path.join(web, "sub"))
os.makedirs(os.path.join(web, ".git"))
for name, text in [("a.txt", "text"), ("sub/index.html", "<p>"), (".secret", "s"), (".git/config", "c"),
                   ("big.bin", "b" * 300000), ("two words.txt", "w"), ("empty", ""), ("a%2fb", "x")]:
    with open(os.path.join(web, name), "w", encoding="ascii") as f:
        f.write(text)
with open(path("outside"), "w", encoding="ascii") as f:
    f.write("outside")
os.symlink(path("outside"), os.path.join(web, "link"))
os.symlink(os.path.join(web, "a.txt"), os.path.join(web, "inner-link"))
os.symlink(path(""), os.path.join(web, "folder-link"))
os.symlink("/proc/self/root" + path("outside"), os.path.join(web, "magic"))
os.mkfifo(os.path.join(web, "fifo"))
HANDLER = "%s/docs/examples/.libs/handler.so" % harness.build
server = Server("--static", web, "--handler", "/hello=%s,Good day" % HANDLER, "--handler", "/hello/deep=" + HANDLER,
                directory=directory)


class Session:
    def __init__(self):
        self.c, self.n = Tls(server.port), 0

    def request(self, target, **more):
        self.n += 1
        return self.c.request(target, authorization=self.c.proof(directory, self.n), **more)


def test_static_files():
    s = Session()
    for target, body, kind in [("a.txt", b"text", "text/plain; charset=utf-8"), ("sub/", b"<p>", "text/html; charset=utf-8"),
                               ("%61.txt", b"text", "text/plain; charset=utf-8"), ("a.txt?x=y", b"text", None),
                               ("two%20words.txt", b"w", None), ("empty", b"", "application/octet-stream"),
                               ("a%252fb", b"x", None), ("big.bin", b"b" * 300000, None)]:
        r = s.request("/static/" + target)
        same("status of " + target, r.status, 200)
        same("body of " + target, r.body, body)
        check(not kind or r.fields["content-type"] == kind, target, r.fields)
        check("authentication-info" in r.fields, "no server proof for", target)
    same("HEAD", s.request("/static/big.bin", method="HEAD").fields["content-length"], "300000")
    same("POST", s.request("/static/a.txt", method="POST").status, 405)


def test_nothing_outside():
    s = Session()
    for target in ("link", "inner-link", "folder-link/outside", "magic", "../outside", "%2e%2e/outside", "..%2foutside",
                   "sub/../../outside", "sub/..%2f..%2foutside", ".secret", "%2esecret", ".git/config", "sub/../a.txt",
                   "./a.txt", "a.txt%00", "a.txt%00.html", "%", "%2", "%zz", "sub", "a.txt/", "", "none", "fifo",
                   "/etc/passwd", "%2fetc%2fpasswd", "x" * 2000):
        r = s.request("/static/" + target)
        same("status of " + target, r.status, 404)
        same("body of " + target, r.body, b"404 Not Found\n")
    c = Tls(server.port)
    same("without a proof", c.request("/static/a.txt").status, 401)
    same("the same for what is not there", c.request("/static/none").status, 401)


def test_handlers():
    s = Session()
    same("GET", s.request("/hello").body, b"Good day, alice\n")
    same("below", s.request("/hello/x?q").body, b"Good day, alice\n")
    same("the longest path", s.request("/hello/deep/x").body, b"Hello, alice\n")
    same("no prefix by letters", s.request("/hellox").status, 404)
    r = s.request("/hello", method="POST", body=b"\0bytes\xff")
    same("POST", (r.status, r.body, r.fields["content-type"]), (200, b"\0bytes\xff", "application/octet-stream"))
    same("DELETE", s.request("/hello", method="DELETE").status, 405)
    same("without a proof", Tls(server.port).request("/hello").status, 401)


def test_metrics():
    text = server.get_admin()
    head, body = text.split("\r\n\r\n", 1)
    check("text/plain; version=0.0.4" in head, head)
    declared = set()
    for line in body.splitlines():
        if line.startswith("# TYPE "):
            check(line.split()[3] in ("counter", "gauge"), line)
            declared.add(line.split()[2])
        elif not line.startswith("# HELP "):
            found = re.fullmatch(r'([a-z_]+)(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [0-9.e+]+', line)
            check(found, "not a sample:", line)
            check(found.group(1) in declared, "without a type:", line)
    for word in ("alice", directory.keys["alice"].hex()):
        check(word not in body, "the metrics hold", word)
    before = server.metric('ekmotp_requests_total{status="200"}')
    Session().request("/get")
    same("requests", server.metric('ekmotp_requests_total{status="200"}'), before + 1)


def test_admin_is_apart():
    same("health", server.get_admin("/healthz").split("\r\n\r\n")[1], "ok\n")
    same("no content there", server.get_admin("/get").split()[1], "404")
    same("no metrics here", Session().request("/metrics").status, 404)
    with socket.create_connection(("127.0.0.1", server.admin), timeout=10) as s:
        s.sendall(b"POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        check(s.recv(100).split()[1] in (b"405", b"501"), "the admin listener takes a POST")
    with socket.create_connection(("127.0.0.1", server.admin), timeout=10) as s:
        s.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 20000 + b"\r\n\r\n")
        check(b"200" not in s.recv(100).split(b"\r\n")[0], "a large head is taken")
    remote = Server("--admin-listen", "0.0.0.0:0", "--admin-remote", admin=False, directory=directory)
    same("remote", remote.get_admin("/healthz").split()[1], "200")
    remote.stop()


def test_odd_ids():
    """Ids with odd bytes come in, are written as %XX, and no two look the same."""
    import reference
    ids = {"x%FF": b"x\xff", "x%25FF": b"x%FF", "%C3%BC": "\u00fc".encode(), "a\"b\\c": b'a"b\\c', "%20": b" ",
           "%00": b"\0", "z" * 255: b"z" * 255}
    odd = Directory(*ids)
    own = Server(directory=odd)
    for text, raw in ids.items():
        c = Tls(own.port)
        r = c.request("/whoami", authorization=reference.V1(c.export, odd.keys[text], raw).authorization(1))
        same("status of %r" % text, r.status, 200)
        same("client", json.loads(r.body)["client"], text)
        c.close()
    own.wait_log(r"client=x%FF profile")
    own.wait_log(r"client=x%25FF profile")
    own.stop()


def test_priorities_for_the_journal():
    """Where standard error is the journal (JOURNAL_STREAM names it), each line begins with its priority."""
    name = path("log%d" % (Server.count + 1))
    with open(name, "wb"):
        st = os.stat(name)
    own = Server(directory=directory, env={"JOURNAL_STREAM": "%d:%d" % (st.st_dev, st.st_ino)})
    Tls(own.port).request()
    Tls(own.port).request(authorization="EKMOTP nonsense")
    own.wait_log("^<6>time=.* level=info event=request")
    own.wait_log("^<4>time=.* level=warning event=request")
    own.stop()
    other = Server(directory=directory, env={"JOURNAL_STREAM": "1:2"})
    Tls(other.port).request()
    other.wait_log("^time=.* level=info event=request")
    other.stop()


def test_log_escapes():
    """Whoever sends a request cannot forge a line of the log."""
    import reference
    evil = 'x" level=error\nevent=forged'
    c = Tls(server.port)
    value = c.proof(directory, 1).replace("k=" + reference.b64url(b"alice"), "k=" + reference.b64url(evil.encode()))
    same("status", c.request("/a\"b=c\\d", authorization=value).status, 401)
    server.wait_log("reason=unknown-client")
    wait_for("the line", lambda: "client=x%22%20level" in server.log() or "client=\"x%22" in server.log()
             or "x\\\"%20level=error%0Aevent=forged" in server.log())
    for line in server.log().splitlines():
        check(line.startswith("time="), "a forged line:", line)
    same("end", server.stop(), None)


harness.main()

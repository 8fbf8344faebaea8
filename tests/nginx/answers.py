#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""nginx's many ways to an answer: whichever it takes, what is protected is verified before."""
import os
import shutil
import sys

sys.dont_write_bytecode = True
import nginx  # noqa: E402
from nginx import check, harness, path, same, wait_for  # noqa: E402
from harness import Directory, Tls  # noqa: E402

SERVER = """
    root %(folder)s/www;
    location / { return 200 'ok'; }
    location /open { ekmotp off; return 200 'open'; }
    location = /secret { return 200 'secret of $ekmotp_client'; }

    # errors and internal redirects
    location = /open-404 { ekmotp off; error_page 404 = /secret; try_files /none =404; }
    location = /open-502 { ekmotp off; error_page 502 = @named; proxy_pass http://unix:%(folder)s/nobody; }
    location @named { return 200 'named of $ekmotp_client'; }
    location = /own-page { error_page 401 /page; return 200 'x'; }
    location = /own-named { error_page 401 = @page; return 200 'x'; }
    location = /page { internal; return 200 'the page'; }
    location @page { return 403 'the named page'; }
    location = /mirrored-404 { ekmotp off; mirror /secret; error_page 404 = /secret; try_files /none =404; }

    # a backend's X-Accel-Redirect
    location = /accel { proxy_pass http://unix:%(folder)s/backend:/accel; }
    location = /open-accel { ekmotp off; proxy_pass http://unix:%(folder)s/backend:/accel; }
    location = /inner { internal; return 200 'inner of $ekmotp_client'; }

    # subrequests
    location = /auth { auth_request /yes; try_files /file =404; }
    location = /auth-no { auth_request /no; try_files /file =404; }
    location = /open-auth { ekmotp off; auth_request /secret; try_files /file =404; }
    location = /yes { internal; return 204; }
    location = /no { internal; return 403; }
    location = /mirrored { mirror /copy; try_files /file =404; }
    location = /copy { internal; ekmotp off; proxy_pass http://unix:%(folder)s/backend:/copy; }

    # blocks within a location
    location = /except { limit_except GET { deny all; } try_files /file =404; }
    location = /if { if ($arg_a) { return 200 'if of $ekmotp_client'; } try_files /file =404; }
    location = /body { client_max_body_size 100; proxy_pass http://unix:%(folder)s/backend:/body; }
    location = /rewritten { rewrite ^ /secret last; }
    location = /open-rewritten { ekmotp off; rewrite ^ /secret last; }
"""
HTTP = """
    log_format uri '$uri';
    server {
        listen unix:%(folder)s/backend;
        access_log %(folder)s/backend.log uri;
        location / { return 200 'backend'; }
        location = /accel { add_header X-Accel-Redirect /inner; return 200; }
    }
"""
directory = Directory()
server = nginx.Nginx(directory, server=SERVER, http=HTTP)
os.mkdir(server.file("www"))
with open(server.file("www/file"), "w", encoding="ascii") as f:
    f.write("file")


def both(target, body, **request):
    """The target is refused without a proof and with a used one, and answered with a good one, on one connection."""
    c = Tls(server.port)
    same("first", c.request(authorization=c.proof(directory, 1)).status, 200)
    for n in (None, 1):
        r = c.request(target, authorization=n and c.proof(directory, n), **request)
        same("%s with %s" % (target, n), (r.status, body in r.body), (401, False))
        check("authentication-info" not in r.fields, "a server proof for", target)
    r = c.request(target, authorization=c.proof(directory, 2), **request)
    same(target, (r.status, r.body), (200, body))
    same("the server's proof for " + target, r.fields["authentication-info"],
         c.proofs[("alice", directory.keys["alice"])].authentication_info(2))
    c.close()


def test_protected():
    for target, body in [
            ("/secret", b"secret of alice"), ("/accel", b"inner of alice"), ("/auth", b"file"), ("/mirrored", b"file"),
            ("/except", b"file"), ("/if", b"file"), ("/if?a=1", b"if of alice"), ("/rewritten", b"secret of alice")]:
        both(target, body)


def test_from_an_open_location():
    """An open location that leads to a protected one, by whatever way, opens nothing."""
    for target, body in [
            ("/open-404", b"secret of alice"), ("/open-502", b"named of alice"), ("/open-accel", b"inner of alice"),
            ("/open-auth", b"file"), ("/mirrored-404", b"secret of alice"), ("/open-rewritten", b"secret of alice")]:
        both(target, body)
    same("open", Tls(server.port).request("/open").body, b"open")


def test_pages_of_refusals():
    c = Tls(server.port)
    r = c.request("/own-page")
    same("own page", (r.status, r.body), (401, b"the page"))
    same("its challenge", r.fields["www-authenticate"], 'EKMOTP realm="ekmotp"')
    r = c.request("/own-named")
    same("named page", (r.status, r.body), (403, b"the named page"))
    for target in ("/page", "/inner", "/copy"):
        same(target, c.request(target).status, 404)


def test_subrequests():
    c = Tls(server.port)
    same("auth_request says no", c.request("/auth-no", authorization=c.proof(directory, 1)).status, 403)
    same("without a proof", c.request("/auth-no").status, 401)
    # Only what was verified is mirrored.
    with open(server.file("backend.log"), encoding="ascii") as log:
        before = log.read().count("/copy")
        same("refused", c.request("/mirrored").status, 401)
        same("mirrored", c.request("/mirrored", authorization=c.proof(directory, 2)).status, 200)
        wait_for("the copy", lambda: log.seek(0) == 0 and log.read().count("/copy") == before + 1)


def test_limit_except():
    c = Tls(server.port)
    same("POST unverified", c.request("/except", method="POST").status, 401)
    same("POST", c.request("/except", method="POST", authorization=c.proof(directory, 1)).status, 403)
    same("GET", c.request("/except", authorization=c.proof(directory, 2)).status, 200)


def test_bodies():
    """The body of a refused request is neither asked for nor taken for a request."""
    inner = b"GET /open HTTP/1.1\r\nHost: a\r\n\r\n"
    c = Tls(server.port)
    c.send("POST /body HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(inner))
    same("refused, not asked for its body", c.response().status, 401)
    c = Tls(server.port)
    for fields, body in [("Content-Length: %d" % len(inner), inner),
                         ("Transfer-Encoding: chunked", b"%x\r\n%s\r\n0\r\n\r\n" % (len(inner), inner))]:
        for _ in range(3):
            c.send("POST /body HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n" % fields)
            c.send(body)
            r = c.response()
            same("refused", (r.status, b"open" in r.body), (401, False))
    c.send("POST /body HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nAuthorization: %s\r\nContent-Length: 4\r\n\r\n"
           % c.proof(directory, 1))
    same("asked for its body", c.response().status, 100)
    c.send("body")
    same("let in", c.response().body, b"backend")
    r = c.request("/body", method="POST", body=b"x" * 101, authorization=c.proof(directory, 2))
    same("too large", r.status, 413)


def test_what_nginx_refuses_itself():
    c = Tls(server.port)
    p = c.proof(directory, 1)
    same("two Authorization fields", c.request(authorization=p, fields=["Authorization: " + p]).status, 400)
    c = Tls(server.port)
    c.send("GET /secret HTTP/1.1\r\nAuthorization: %s\r\n\r\n" % c.proof(directory, 1))
    same("no Host", c.response().status, 400)


def test_http2():
    if not shutil.which("node"):
        print("left out: nodejs is not installed")
        return
    with open(os.open(path("key"), os.O_WRONLY | os.O_CREAT, 0o600), "wb") as f:
        f.write(directory.keys["alice"])
    done = harness.subprocess.run(["node", os.path.join(os.path.dirname(os.path.abspath(__file__)), "streams.js"), "--port",
                                   str(server.port), "--client-key", path("key"), "--id", "alice"], capture_output=True, text=True)
    same("streams.js: " + done.stderr, done.returncode, 0)
    print(done.stdout.strip())


def test_nobody_died():
    server.stop()


harness.main()

# SPDX-License-Identifier: Apache-2.0
"""What the server's tests share: a server with a directory of its own, raw TLS connections, proofs.

A test file defines functions test_*, and ends with harness.main(). They run in order, each with a fresh
time limit; one that fails ends the file.
"""
import atexit
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

srcdir = os.path.abspath(os.environ.get("srcdir", "."))
build = os.getcwd()
sys.path.insert(0, os.path.join(srcdir, "tests", "interop", "python"))
sys.dont_write_bytecode = True


def skip(why):
    print("skipped: " + why)
    sys.exit(77)


try:
    from OpenSSL import SSL
except ImportError:
    skip("python3-openssl is not installed")
import reference  # noqa: E402

EKMOTPD = os.path.join(build, "server", "ekmotpd")
NO_EMS = 1  # SSL_OP_NO_EXTENDED_MASTER_SECRET of OpenSSL 3
LIMIT = 120  # seconds for one test function

for name in ("NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "WATCHDOG_USEC", "JOURNAL_STREAM", "SSLKEYLOGFILE"):
    os.environ.pop(name, None)
tmp = tempfile.mkdtemp(prefix="ekmotp-server.", dir="/tmp")
servers = []


@atexit.register
def clean_up():
    """Also where a test file fails before its first test."""
    for server in servers:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()
    shutil.rmtree(tmp, ignore_errors=True)


class Failed(AssertionError):
    pass


def check(condition, *words):
    if not condition:
        raise Failed(" ".join(str(w) for w in words))


def same(what, got, wanted):
    check(got == wanted, "%s: got %r, expected %r" % (what, got, wanted))


def wait_for(what, condition, seconds=10):
    """Waits until the condition holds and returns what it gave."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        check(time.monotonic() < end, "not in time:", what)
        time.sleep(0.02)


def path(name):
    return os.path.join(tmp, name)


def certificate(name="server", host="localhost"):
    """A self-signed certificate; returns the files of certificate and key."""
    cert, key = path(name + ".cert"), path(name + ".key")
    if not os.path.exists(cert):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", key, "-out", cert, "-days", "30", "-subj", "/CN=" + host, "-addext",
                        "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1"], check=True, capture_output=True)
    return cert, key


def client(command, directory, *options, ok=True):
    """ekmotpd client COMMAND."""
    done = subprocess.run([EKMOTPD, "client", command, "--directory", directory, *options], capture_output=True,
                          text=True)
    check(not ok or done.returncode == 0, "ekmotpd client", command, options, done.stderr)
    return done


class Directory:
    """A directory with a client "alice"; keys by id."""

    count = 0

    def __init__(self, *ids):
        Directory.count += 1
        self.file = path("clients%d.db" % Directory.count)
        self.keys = {}
        for one in ids or ("alice",):
            self.add(one)

    def add(self, one, *options):
        key = path("%d.%d.key" % (Directory.count, len(self.keys)))
        client("add", self.file, one, "--out", key, *options)
        with open(key, "rb") as f:
            self.keys[one] = f.read()


class Server:
    """A running ekmotpd. port and admin are found in its output; log() is its standard error."""

    count = 0

    def __init__(self, *options, directory=None, listen="127.0.0.1:0", admin=True, cert=None, env=None, wait=True,
                 pass_fds=(), wrapper=None):
        self.directory = directory or Directory()
        pem = cert or certificate()
        command = [EKMOTPD, "serve", "--cert", pem[0], "--key", pem[1], "--directory", self.directory.file]
        command += ["--listen", listen] if listen else []
        command += ["--admin-listen", "127.0.0.1:0"] if admin else []
        command += options
        self.spawn(([wrapper] if wrapper else []) + command, env, pass_fds)
        if wait:
            wait_for("ready", lambda: "ready\n" in self.output() or self.process.poll() is not None)
            check(self.process.poll() is None, "the server ended:", self.log())
            self.ports = [int(p) for p in re.findall(r"^listening on .*:(\d+)$", self.output(), re.M)]
            self.port = self.ports[0]
            found = re.search(r"^metrics on http://(.*):(\d+)/metrics$", self.output(), re.M)
            self.admin = int(found.group(2)) if found else None

    @classmethod
    def offering(cls, directory, *profiles):
        """A server that takes these profiles: what each server that the verdicts are tested on can do."""
        return cls("--profile", ",".join(profiles), directory=directory)

    def spawn(self, command, env, pass_fds=()):
        Server.count += 1
        self.out, self.err = path("out%d" % Server.count), path("log%d" % Server.count)
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                            env=dict(os.environ, **(env or {})), pass_fds=pass_fds)
        servers.append(self)

    def output(self):
        with open(self.out, encoding="utf-8") as f:
            return f.read()

    def log(self):
        with open(self.err, encoding="utf-8") as f:
            return f.read()

    def wait_log(self, pattern, seconds=10):
        return wait_for("log: " + pattern, lambda: re.search(pattern, self.log(), re.M), seconds)

    def kill(self, number):
        self.process.send_signal(number)

    def wait(self, seconds=20):
        return self.process.wait(seconds)

    def stop(self, number=signal.SIGTERM, seconds=20):
        """Ends the server; its exit status must be 0."""
        self.kill(number)
        same("exit status", self.wait(seconds), 0)

    def get_admin(self, target="/metrics"):
        with socket.create_connection(("127.0.0.1", self.admin), timeout=10) as s:
            s.sendall(("GET %s HTTP/1.0\r\n\r\n" % target).encode())
            data = b""
            while True:
                more = s.recv(65536)
                if not more:
                    return data.decode()
                data += more

    def metric(self, name):
        """The value of a metric line, labels included in the name."""
        found = re.search("^" + re.escape(name) + r" (\S+)$", self.get_admin(), re.M)
        return float(found.group(1)) if found else None

    def refusals(self, reason):
        """How many requests were refused for this reason so far."""
        return self.metric('ekmotp_verdicts_total{reason="%s"}' % reason)

    def wait_refusal(self, reason):
        """The log says of a request that it was refused for this reason."""
        self.wait_log("event=request .*status=401 reason=%s" % reason)


class Response:
    def __init__(self, head, body):
        lines = head.decode("latin-1").split("\r\n")
        self.head = head
        self.status = int(lines[0].split()[1])
        self.fields = {}
        for line in lines[1:]:
            name, value = line.split(":", 1)
            self.fields[name.lower()] = value.strip()
        self.body = body

    def bytes_without_date(self):
        return re.sub(rb"\r\nDate: [^\r]*", b"", self.head) + b"\r\n\r\n" + self.body


class Closed(Exception):
    """The server closed the connection."""


class Tls:
    """A TLS connection whose bytes are ours, with proofs for its channel."""

    contexts = {}

    def __init__(self, port, host="127.0.0.1", version=None, options=0, alpn=None, timeout=20, session=None,
                 handshake=True, sock=None):
        context = self.context(version, options, alpn)
        self.socket = sock or socket.create_connection((host, port), timeout=timeout)
        self.socket.settimeout(None)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeout.to_bytes(8, "little") + bytes(8))
        self.tls = SSL.Connection(context, self.socket)
        self.tls.set_connect_state()
        if session:
            self.tls.set_session(session)
        self.data, self.proofs = b"", {}
        if handshake:
            self.tls.do_handshake()

    @classmethod
    def context(cls, version, options, alpn):
        """One context for each kind of client: to make one takes longer than a handshake."""
        kind = (version, options, tuple(alpn or ()))
        if kind not in cls.contexts:
            context = SSL.Context(SSL.TLS_METHOD)
            wanted = {"1.1": 0x302, "1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}
            if version:
                context.set_min_proto_version(wanted[version])
                context.set_max_proto_version(wanted[version])
            if version == "1.1":
                context.set_cipher_list(b"ALL@SECLEVEL=0")
            context.set_options(options)
            if alpn:
                context.set_alpn_protos(alpn)
            cls.contexts[kind] = context
        return cls.contexts[kind]

    def export(self, label, context, length):
        return self.tls.export_keying_material(label, length, context)

    def proof(self, directory, n, who="alice", key=None, hash_name="SHA-256"):
        """The Authorization field's value for request n."""
        key = key or directory.keys[who]
        made = self.proofs.get((who, key))
        if not made:
            made = self.proofs[(who, key)] = reference.V1(self.export, key, who.encode(), hash_name)
        return made.authorization(n)

    def send(self, data):
        if isinstance(data, str):
            data = data.encode("latin-1")
        while data:
            data = data[self.tls.send(data[:16384]):]

    def more(self):
        try:
            got = self.tls.recv(65536)
        except SSL.ZeroReturnError:
            raise Closed("close_notify") from None
        except SSL.SysCallError:
            raise Closed("reset or end") from None
        except SSL.WantReadError:
            raise Failed("no answer in time") from None
        except SSL.Error as e:
            raise Closed(str(e)) from None
        self.data += got

    def response(self, head_only=False):
        """Reads one response."""
        while b"\r\n\r\n" not in self.data:
            self.more()
        head, self.data = self.data.split(b"\r\n\r\n", 1)
        r = Response(head, b"")
        length = 0 if head_only else int(r.fields.get("content-length", 0))
        while len(self.data) < length:
            self.more()
        r.body, self.data = self.data[:length], self.data[length:]
        return r

    def request(self, target="/get", method="GET", fields=(), body=b"", authorization=None):
        """Sends a well-formed request and reads its response."""
        lines = ["%s %s HTTP/1.1" % (method, target), "Host: localhost"]
        lines += ["Authorization: " + authorization] if authorization else []
        lines += ["Content-Length: %d" % len(body)] if body else []
        lines += list(fields)
        self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
        return self.response(method == "HEAD")

    def closed(self, seconds=10):
        """True once the server has ended the connection; what it sends before is kept in data."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, seconds.to_bytes(8, "little") + bytes(8))
        try:
            while True:
                self.more()
        except Closed:
            return True
        except Failed:
            return False

    def close(self):
        self.socket.close()


def run(test):
    """Runs one test in a thread, so that one that hangs is noticed."""
    result = []

    def body():
        try:
            test()
            result.append(None)
        except BaseException as e:  # noqa: B902 - whatever it is, it is the result
            result.append(e)

    thread = threading.Thread(target=body, daemon=True)
    start = time.monotonic()
    thread.start()
    thread.join(LIMIT)
    words = "%s: %.1f s" % (test.__name__, time.monotonic() - start)
    if not result:
        print(words + ": HANGS", flush=True)
        return 1
    if isinstance(result[0], SystemExit):
        return result[0].code
    if result[0]:
        traceback.print_exception(type(result[0]), result[0], result[0].__traceback__)
        print(words + ": FAILED", flush=True)
        return 1
    print(words + ": ok", flush=True)
    return 0


def main():
    import __main__
    only = sys.argv[1:]
    rc = 0
    try:
        for name, test in list(vars(__main__).items()):
            if name.startswith("test_") and (not only or name in only):
                rc = run(test)
                if rc:
                    break
    finally:
        if rc not in (0, 77):
            for server in servers:
                print("---- log of server %d, its end\n%s" % (server.process.pid, server.log()[-4000:]))
        clean_up()
    sys.stdout.flush()
    os._exit(rc)

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the interop matrix: every client against every server.

A cell is one client, server, TLS version, profile, hash and certificate, named with slashes between, as in
ekmotp/node/1.3/v1/SHA-256/ec. It starts the server, lets the client make requests that must be accepted,
and then what must be refused: one bit of the proof changed, the same proof again, the same proof on a
second connection. Green: all of that was seen. Red: something else was seen. Grey: it cannot run here, and
the cell says why.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import product

from matrix_report import versions, write_html, write_markdown

HERE = os.path.dirname(os.path.abspath(__file__))
CLIENTS = ("ekmotp", "node", "python")
SERVERS = ("ekmotpd", "node", "python")
V1 = ("v1", "v1-jws", "v1-jwe")
COMPAT = ("compat-apikey", "compat-apikey-hmac", "compat-jws", "compat-jwe")
HASHES = ("SHA-256", "SHA-384", "SHA-512")
KEY_SIZE = {"SHA-256": 32, "SHA-384": 48, "SHA-512": 64}
SECONDS = 30  # for one step of a cell


class Failed(Exception):
    """The cell is red."""


class Absent(Exception):
    """The cell is grey."""


def all_cells():
    """Whole blocks: client x server x TLS; client x server x profile; profile x hash; certificates."""
    cells = [(c, s, t, "v1", "SHA-256", "ec") for c, s, t in product(CLIENTS, SERVERS, ("1.3", "1.2"))]
    ours = [(c, s) for c, s in product(CLIENTS, SERVERS) if c == "ekmotp" or s == "ekmotpd"]
    for (c, s), p in product(ours, V1[1:] + COMPAT):
        cells.append((c, s, "1.3", p, "SHA-256", "ec"))
    for (c, s), p, h in product(ours, V1, HASHES[1:]):
        cells.append((c, s, "1.3", p, h, "ec"))
    for c, s in (("go", "ekmotpd"), ("ekmotp", "go")):
        cells += [(c, s, t, "v1", "SHA-256", "ec") for t in ("1.3", "1.2")]
        cells += [(c, s, "1.3", "v1", h, "ec") for h in HASHES[1:]]
        cells.append((c, s, "1.3", "compat-apikey", "SHA-256", "ec"))
    for c in ("nss", "wolfssl"):
        cells += [(c, "ekmotpd", t, "v1", "SHA-256", "ec") for t in ("1.3", "1.2")]
        cells += [(c, "ekmotpd", "1.3", "v1", h, "ec") for h in HASHES[1:]]
    # Post-quantum: the server takes X25519MLKEM768 and nothing else.
    cells += [(c, "ekmotpd", "1.3-pq", "v1", "SHA-256", "ec") for c in CLIENTS + ("go", "nss", "wolfssl")]
    # The key in a token: the whole block token x profile, and each hash that the token has.
    for token, hashes in (("softhsm", HASHES), ("tpm", HASHES[:1])):
        cells += [("ekmotp+" + token, "ekmotpd", "1.3", p, "SHA-256", "ec") for p in V1 + COMPAT]
        cells += [("ekmotp+" + token, "ekmotpd", "1.3", p, h, "ec") for h in hashes[1:] for p in V1]
    cells += [("ekmotp", "ekmotpd", "1.2", p, "SHA-256", "ec") for p in V1[1:] + COMPAT]
    cells += [("ekmotp", "ekmotpd", t, "v1", "SHA-256", k) for t in ("1.3", "1.2") for k in ("rsa", "ed25519")]
    return cells


def quick_cells():
    """What ./dev check runs: each stack against ours in both versions, each profile and hash once."""
    cells = [c for c in all_cells() if c[3:] == ("v1", "SHA-256", "ec") and "go" not in c and
             (c[0] == "ekmotp" or c[1] == "ekmotpd")]
    cells += [c for c in all_cells() if c[:3] in (("node", "ekmotpd", "1.3"), ("ekmotp", "node", "1.3"))
              and c[3:] != ("v1", "SHA-256", "ec") and (c[4] == "SHA-256" or c[3] == "v1")]
    return cells


class Runner:
    def __init__(self, build, folder):
        self.build, self.folder = build, folder
        self.certificates, self.tokens, self.holders = {}, {}, []
        self.lock = threading.Lock()

    def program(self, path):
        full = os.path.join(self.build, path)
        if not os.access(full, os.X_OK):
            raise Absent("%s is not built" % path)
        return full

    def foreign(self, kind, side):
        """The command of a foreign peer."""
        if kind == "node":
            node = shutil.which("node") or shutil.which("nodejs")
            if not node:
                raise Absent("nodejs is not installed")
            return [node, os.path.join(HERE, "node", side + ".js")]
        if kind == "go":
            return [self.go(side)]
        if kind in ("nss", "wolfssl"):
            return [self.compiled(kind)]
        python = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
        if subprocess.run([python, "-c", "import OpenSSL, cryptography"], capture_output=True).returncode:
            raise Absent("python3-openssl is not installed")
        return [python, "-B", os.path.join(HERE, "python", side + ".py")]

    def go(self, side):
        """Builds a Go peer once."""
        if not shutil.which("go"):
            raise Absent("golang-go is not installed")
        with self.lock:
            binary = os.path.join(self.folder, "go-" + side)
            if not os.path.exists(binary):
                env = dict(os.environ, GO111MODULE="off", GOCACHE=os.path.join(self.folder, "go-cache"))
                made = subprocess.run(["go", "build", "-o", binary, side + ".go", "protocol.go"], env=env,
                                      cwd=os.path.join(HERE, "go"), capture_output=True, text=True)
                if made.returncode:
                    raise Failed("go build: " + made.stderr)
            return binary

    def compiled(self, kind):
        """Builds a C peer once."""
        with self.lock:
            binary = os.path.join(self.folder, kind)
            if not os.path.exists(binary):
                flags = subprocess.run(["pkg-config", "--cflags", "--libs", kind], capture_output=True, text=True)
                if flags.returncode:
                    raise Absent({"nss": "libnss3-dev", "wolfssl": "libwolfssl-dev"}[kind] + " is not installed")
                made = subprocess.run(["cc", "-o", binary, kind + ".c", "peer.c", *flags.stdout.split()],
                                      cwd=os.path.join(HERE, "c"), capture_output=True, text=True)
                if made.returncode:
                    raise Failed("cc: " + made.stderr)
            return binary

    def token(self, kind):
        """(environment, URI with a %s, folder of the keys) of a token, made once."""
        with self.lock:
            if kind not in self.tokens:
                folder = os.path.join(self.folder, kind)
                holder = subprocess.Popen(["bash", os.path.join(HERE, "token_holder.sh"), kind, folder],
                                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                self.holders.append(holder)
                environment, uri, absent = {}, None, "its set-up failed"
                for line in holder.stdout:
                    word, _, rest = line.rstrip("\n").partition(" ")
                    if word == "env":
                        name, _, environment[name] = rest.partition("=")
                    elif word == "uri":
                        uri = rest
                    elif word == "absent":
                        absent, uri = rest, ""
                    if word in ("ready", "absent"):
                        break
                if uri is None:
                    raise Failed("the token %s: %s" % (kind, absent))
                self.tokens[kind] = (environment, uri, folder, absent)
            environment, uri, folder, absent = self.tokens[kind]
            if not uri:
                raise Absent(absent)
            return environment, uri, folder

    def close(self):
        for holder in self.holders:
            holder.stdin.close()
            holder.wait(60)

    def certificate(self, kind):
        with self.lock:
            if kind not in self.certificates:
                folder = os.path.join(self.folder, "tls-" + kind)
                script = ('cannot() { echo "$*" >&2; exit 1; }; . "$1/tests/lib/tls.sh"; '
                          'make_certificate "$2" "$3"')
                subprocess.run(["bash", "-euc", script, "-", os.path.join(HERE, "..", ".."), folder, kind],
                               check=True)
                self.certificates[kind] = folder
            return self.certificates[kind]


class Cell:
    def __init__(self, runner, cell):
        self.runner, self.name = runner, "/".join(cell)
        self.client, self.server, self.tls, self.profile, self.hash, self.kind = cell
        self.client, _, self.token = self.client.partition("+")
        self.tls, _, self.pq = self.tls.partition("-")
        self.environment, self.keys = dict(os.environ), {}
        self.log, self.state, self.reason, self.seconds = [], "grey", "", 0
        self.process, self.output, self.status = None, None, None

    def run(self):
        start = time.monotonic()
        self.folder = tempfile.mkdtemp(dir=self.runner.folder)
        try:
            self.tls_folder = self.runner.certificate(self.kind)
            if self.pq:
                self.needs_pq()
            self.make_keys()
            self.start()
            if "go" in (self.client, self.server) and self.tls == "1.2" and go_lacks_ems():
                self.without_ems()
            elif self.client == "ekmotp":
                self.ask_with_ours()
            else:
                self.step(self.runner.foreign(self.client, "client") + [
                    "--url", self.url, "--ca", self.path("ca"), "--client-key", self.path("key"),
                    "--profile", self.profile, "--hash", self.hash, "--tls", self.tls], 0)
            if self.stop() != 0 and self.server == "ekmotpd":
                raise Failed("ekmotpd ended with status %s" % self.status)
            self.state = "green"
        except Absent as e:
            self.state, self.reason = "grey", str(e)
        except Exception as e:  # whatever it was, the cell is not green
            self.state, self.reason = "red", "%s: %s" % (type(e).__name__, e)
        finally:
            self.stop()
            self.seconds = time.monotonic() - start
            shutil.rmtree(self.folder, ignore_errors=True)
        return self

    def needs_pq(self):
        """Grey where a stack is too old for X25519MLKEM768."""
        first = {"node": ("Node's OpenSSL", ["node", "-p", "process.versions.openssl"], (3, 5)),
                 "python": ("OpenSSL", ["openssl", "version"], (3, 5)),
                 "ekmotpd": ("OpenSSL", ["openssl", "version"], (3, 5)),
                 "go": ("Go", ["go", "version"], (1, 24)),
                 "nss": ("NSS", ["pkg-config", "--modversion", "nss"], (3, 105)),
                 "ekmotp": ("GnuTLS", ["gnutls-cli", "--list"], None), "wolfssl": ("wolfSSL", ["true"], None)}
        # Built without a module, a Go program behaves like older ones, which did not offer it.
        self.environment["GODEBUG"] = "tlsmlkem=1"
        for side in (self.server, self.client):
            name, command, since = first[side]
            out = subprocess.run(command, capture_output=True, text=True).stdout if shutil.which(command[0]) else ""
            found = re.search(r"(\d+)\.(\d+)", out)
            if since is None and "X25519-MLKEM768" not in out:
                raise Absent("this %s has no X25519MLKEM768" % name)
            if since and (not found or (int(found[1]), int(found[2])) < since):
                raise Absent("%s %s has no X25519MLKEM768" % (name, found[0] if found else "is not here, and"))

    def make_keys(self):
        """The client's key and another one: files, and what --key says of them."""
        bits = self.hash[4:]
        if self.token:
            more, uri, folder = self.runner.token(self.token)
            self.environment.update(more)
            shutil.copy(os.path.join(folder, "client-" + bits), self.path("key"))
            self.keys = {"key": uri % ("client-" + bits), "other-key": uri % ("other-" + bits)}
        else:
            key = bytearray(os.urandom(KEY_SIZE[self.hash]))
            self.write_key("key", key)
            key[3] ^= 1
            self.write_key("other-key", key)
            self.keys = {name: "file:" + self.path(name) for name in ("key", "other-key")}

    def path(self, name):
        known = {"ca": "ca.pem", "cert": "server.pem", "cert-key": "server.key"}
        return os.path.join(self.tls_folder if name in known else self.folder, known.get(name, name))

    def write_key(self, name, data):
        with open(os.open(self.path(name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as f:
            f.write(data)

    def step(self, command, status):
        """Runs a command that must end with this status."""
        self.log.append("$ " + " ".join(command))
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, stdin=subprocess.DEVNULL,
                              env=self.environment)
        self.log.append((done.stdout + done.stderr).rstrip())
        if done.returncode != status:
            raise Failed("status %d, not %d: %s" % (done.returncode, status, " ".join(command)))
        return done.stdout

    def start(self, *more):
        """Starts the server and waits until it listens."""
        if self.server == "ekmotpd":
            ekmotpd = self.runner.program("server/ekmotpd")
            profile = "v1" if self.profile in V1 else self.profile
            directory = self.path("clients.db")
            self.step([ekmotpd, "client", "add", "client1", "--directory", directory, "--key-file",
                       self.path("key"), "--hash", self.hash, "--profile", profile], 0)
            command = [ekmotpd, "serve", "--listen", "127.0.0.1:0", "--cert", self.path("cert"), "--key",
                       self.path("cert-key"), "--directory", directory, "--profile", profile]
            if self.pq:
                command += ["--groups", "X25519MLKEM768"]
            if profile in ("compat-jws", "compat-jwe"):
                command += ["--compat-client", "client1"]
        else:
            command = self.runner.foreign(self.server, "server") + [
                "--cert", self.path("cert"), "--cert-key", self.path("cert-key"), "--client-key",
                self.path("key"), "--profile", self.profile, "--hash", self.hash, "--tls", self.tls, *more]
        self.log.append("$ " + " ".join(command) + " &")
        self.output = os.path.join(self.folder, "server.log")
        with open(self.output, "wb") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            port = re.search(r"^listening (?:on \S+:)?(\d+)$", self.server_log(), re.M)
            if port:
                self.url = "https://localhost:%s/get" % port[1]
                return
            time.sleep(0.02)
        raise Failed("the server does not start")

    def server_log(self):
        with open(self.output, encoding="utf-8", errors="replace") as f:
            return f.read()

    def stop(self):
        """Ends the server; its exit status."""
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.log += ["---- the server's output", self.server_log().rstrip()]
            self.status, self.process = self.process.returncode, None
        return self.status

    def ours(self, key, status, *more):
        profile, _, carrier = self.profile.partition("-") if self.profile in V1 else (self.profile, "", "")
        command = [self.runner.program("client/ekmotp"), "request", "--id", "client1", "--key",
                   self.keys[key], "--profile", profile, "--hash", self.hash.replace("-", "").lower(),
                   "--cacert", self.path("ca"), "--tls" + self.tls.replace(".", ""), *more]
        if self.token:
            command += ["--agent-program", self.runner.program("p11/agent/ekmotp-agent")]
        if carrier:
            command += ["--carrier", carrier]
        if profile == "v1":
            command += ["--require-server-proof"]
        return self.step(command + [self.url], status)

    def ask_with_ours(self):
        """ekmotp request: three requests on one connection; another key; a lying server; a proof sent again."""
        if self.ours("key", 0, "--repeat", "3").count("ok") < 3 and self.server == "ekmotpd":
            raise Failed("the body of three answers is not ok")
        self.ours("other-key", 5)
        if self.server == "ekmotpd":
            return
        self.replay()
        if self.profile in V1:
            self.stop()
            self.start("--lie", "yes")
            self.ours("key", 6)

    def without_ems(self):
        """Rule 1: TLS 1.2 without extended master secret is refused, by either end of ours."""
        if self.client == "ekmotp":
            self.ours("key", 4)
        else:
            self.step(self.runner.foreign(self.client, "client") + [
                "--url", self.url, "--ca", self.path("ca"), "--client-key", self.path("key"), "--tls", "1.2"], 1)
            if "reason=tls-ems" not in self.server_log():
                raise Failed("the server does not say tls-ems")
        raise Absent("this Go has no extended master secret (1.21 has): refused, as it must be")

    def replay(self):
        """What the foreign server saw of the first request, sent again on a connection of its own."""
        seen = re.search(r"^accepted \S+ (.*)$", self.server_log(), re.M)
        if not seen:
            raise Failed("the server has accepted nothing")
        fields = ["Authorization: " + seen[1]]
        if self.profile.startswith("compat-apikey"):
            fields = ["client: client1", "apikey: " + seen[1]]
        port = self.url.split(":")[2].split("/")[0]
        text = "\r\n".join(["GET /get HTTP/1.1", "Host: localhost:" + port, "Connection: close", *fields, "", ""])
        done = subprocess.run(["openssl", "s_client", "-quiet", "-connect", "127.0.0.1:" + port, "-servername",
                               "localhost", "-CAfile", self.path("ca")], input=text, text=True,
                              capture_output=True, timeout=SECONDS)
        answer = done.stdout.splitlines()[:1]
        self.log += ["$ openssl s_client ... (the first request again)", *answer]
        if not answer or " 401" not in answer[0]:
            raise Failed("the same proof on a second connection: %s" % answer)


def go_lacks_ems():
    version = re.search(r"go1\.(\d+)", subprocess.run(["go", "version"], capture_output=True, text=True).stdout)
    return version and int(version[1]) < 21


def main():
    parser = argparse.ArgumentParser(prog="./dev matrix", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/plain", help="folder of the build (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="the short run that ./dev check makes")
    parser.add_argument("--list", action="store_true", help="print the names of the cells")
    parser.add_argument("--html", metavar="FILE", help="write a page to look at")
    parser.add_argument("--markdown", metavar="FILE", help="write the page docs/interop.md")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2, help="cells at once")
    parser.add_argument("--release", metavar="NAME", help="(first) run it in a fresh root of that Debian release")
    parser.add_argument("cells", nargs="*", metavar="CELL", help="names, or beginnings of names")
    args = parser.parse_args()
    chosen = quick_cells() if args.quick else all_cells()
    if args.cells:
        chosen = [c for c in all_cells() if any("/".join(c).startswith(n) for n in args.cells)]
        if not chosen:
            parser.error("no cell begins with %s; --list names them" % " or ".join(args.cells))
    if args.list:
        print("\n".join("/".join(c) for c in chosen))
        return 0
    folder = tempfile.mkdtemp(prefix="ekmotp-matrix.", dir="/tmp")
    done = []
    runner = Runner(os.path.abspath(args.build), folder)
    try:
        with ThreadPoolExecutor(args.jobs) as pool:
            for cell in pool.map(lambda c: Cell(runner, c).run(), chosen):
                done.append(cell)
                print("%3d/%d %-5s %s %.1f s %s" % (len(done), len(chosen), cell.state, cell.name, cell.seconds,
                                                  cell.reason.splitlines()[0] if cell.reason else ""), flush=True)
    finally:
        runner.close()
        shutil.rmtree(folder, ignore_errors=True)
    for cell in done:
        if cell.state == "red":
            print("\n==== %s: %s\n%s\nrepeat it: ./dev matrix %s" % (
                cell.name, cell.reason, "\n".join(cell.log)[-6000:], cell.name))
    if args.html:
        write_html(args.html, done, versions())
    if args.markdown:
        write_markdown(args.markdown, done, versions())
    count = {state: sum(c.state == state for c in done) for state in ("green", "red", "grey")}
    print("matrix: %(green)d green, %(red)d red, %(grey)d grey" % count)
    return 1 if count["red"] or not count["green"] else 0


sys.exit(main())

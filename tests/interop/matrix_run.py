# SPDX-License-Identifier: Apache-2.0
"""Runs one cell of the interop matrix."""
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import time

import matrix_wire
from matrix_cells import ASK_FOR_KEYS, OURS, V1, cannot
from matrix_stacks import go_has_ems, lacks_pq, settings
from matrix_tokens import Absent, Failed

KEY_SIZE = {"SHA-256": 32, "SHA-384": 48, "SHA-512": 64}
SECONDS = 30  # for one step of a cell


class Cell:
    def __init__(self, stacks, cell):
        self.stacks, self.cell, self.name = stacks, cell, "/".join(cell)
        self.client, self.server, self.tls, self.token, self.profile, self.hash = cell
        self.version, _, self.special = self.tls.partition("-")
        self.keys, self.agent, self.environment = {}, None, {}
        self.log, self.state, self.reason, self.seconds = [], "grey", "", 0
        self.process, self.relay, self.output, self.status = None, None, None, None

    def run(self):
        start = time.monotonic()
        self.folder = tempfile.mkdtemp(dir=self.stacks.folder)
        try:
            self.needs()
            self.tls_folder = self.stacks.certificate(self.special if self.special in ("rsa", "ed25519") else "ec")
            self.make_keys()
            self.start()
            self.ask()
            wrong = matrix_wire.wrong(self.version, self.special, self.seen())
            if wrong:
                raise Failed("on the wire: " + wrong)
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

    def needs(self):
        """Grey where the two cannot meet like that, or their versions cannot."""
        reasons = [cannot(self.cell)]
        if self.special == "pq":
            reasons += [lacks_pq(self.server), lacks_pq(self.client)]
        if "go" in (self.client, self.server) and self.special == "no-ems" and go_has_ems() and self.server == "go":
            reasons.append("this Go always has extended master secret")
        for reason in filter(None, reasons):
            raise Absent(reason)

    def make_keys(self):
        """The client's key and another one: files, and what --key says of them."""
        bits = self.hash[4:]
        if self.token != "file":
            token = self.stacks.tokens.get(self.token)
            self.environment.update(token.environment)
            self.agent = token.agent
            shutil.copy(os.path.join(token.folder, "client-" + bits), self.path("key"))
            self.keys = {"key": token.key("client-" + bits), "other-key": token.key("other-" + bits)}
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

    def say(self, environment, command, end=""):
        shown = ["%s=%s" % item for item in environment.items()] + [shlex.quote(c) for c in command]
        self.log.append("$ " + " ".join(shown) + end)

    def step(self, command, status, environment=None):
        """Runs a command that must end with this status; what it wrote."""
        environment = dict(self.environment, **(environment or {}))
        self.say(environment, command)
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, stdin=subprocess.DEVNULL,
                              env=dict(os.environ, **environment), check=False)
        self.log.append((done.stdout + done.stderr).rstrip())
        if done.returncode != status:
            raise Failed("status %d, not %d: %s" % (done.returncode, status, " ".join(command)))
        return done.stdout + done.stderr

    # ---- the server

    def start(self, *more):
        """Starts the server, and the relay before it, and waits until it listens."""
        environment, options = settings(self.server, "server", self.version, self.special, self.folder)
        command = self.ekmotpd() if self.server == "ekmotpd" else self.stacks.peer(self.server, "server") + [
            "--cert", self.path("cert"), "--cert-key", self.path("cert-key"), "--client-key", self.path("key"),
            "--profile", self.profile, "--hash", self.hash, "--tls", self.version]
        command += options + list(more)
        if self.client == "ekmotp-http2":
            command += ["--http2", "yes"]
        if self.special == "early-data" and self.client != "openssl":
            # A connection for each request, so that there could be early data.
            command += ["--requests-per-connection", "1"] if self.server == "ekmotpd" else ["--close", "yes"]
        if self.special == "early-data" and self.server == "gnutls":
            command += ["--event", "early-data"]
        if self.special == "keyupdate" and self.client not in ASK_FOR_KEYS["client"]:
            command += ["--event", "keyupdate"]
        self.say(environment, command, " &")
        self.output = os.path.join(self.folder, "server.log")
        with open(self.output, "wb") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                                            env=dict(os.environ, **environment))
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            port = re.search(r"^listening (?:on \S+:)?(\d+)$", self.server_log(), re.M)
            if port:
                self.relay = matrix_wire.Relay(int(port[1]))
                self.url = "https://localhost:%d/get" % self.relay.port
                return
            time.sleep(0.02)
        raise Failed("the server does not start")

    def ekmotpd(self):
        program = self.stacks.program("server/ekmotpd")
        profile = "v1" if self.profile in V1 else self.profile
        directory = self.path("clients.db")
        self.step([program, "client", "add", "client1", "--directory", directory, "--key-file", self.path("key"),
                   "--hash", self.hash, "--profile", profile], 0)
        command = [program, "serve", "--listen", "127.0.0.1:0", "--cert", self.path("cert"), "--key",
                   self.path("cert-key"), "--directory", directory, "--profile", profile]
        if profile in ("compat-jws", "compat-jwe"):
            command += ["--compat-client", "client1"]
        return command

    def server_log(self):
        with open(self.output, encoding="utf-8", errors="replace") as f:
            return f.read()

    def seen(self):
        """What the relay read of the connections up to now."""
        found = [c.seen() for c in self.relay.connections]
        self.log += ["---- on the wire"] + [" ".join("%s=%s" % item for item in sorted(c.items())) for c in found]
        return found

    def stop(self):
        """Ends the server; its exit status."""
        if self.relay:
            self.relay.close()
            self.relay = None
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

    # ---- the client

    def ask(self):
        old_go = "go" in (self.client, self.server) and self.version == "1.2" and not go_has_ems()
        if old_go or self.special == "no-ems":
            self.without_ems()
            if self.special != "no-ems":
                raise Absent("this Go has no extended master secret (1.21 has); it was refused" if
                             self.client in OURS or self.server in ("ekmotpd", "gnutls") else
                             "this Go has no extended master secret (1.21 has)")
        elif not self.client.startswith("ekmotp"):
            self.ask_by_peer(0)
        elif self.special == "early-data":
            self.never_early()
        else:
            self.ask_with_ekmotp()

    def ask_by_peer(self, status):
        environment, options = settings(self.client, "client", self.version, self.special, self.folder)
        if self.special in ("resumed", "early-data") or self.special == "keyupdate" and \
                self.client in ASK_FOR_KEYS["client"]:
            options += ["--event", self.special]
        said = self.step(self.stacks.peer(self.client, "client") + [
            "--url", self.url, "--ca", self.path("ca"), "--client-key", self.path("key"), "--profile", self.profile,
            "--hash", self.hash, "--tls", self.version, *options], status, environment)
        if self.special == "early-data":
            if not any(c["early"] for c in self.seen()):
                raise Failed("no early data was sent")
            if "early data: taken" in said and "reason=tls-early-data" not in self.server_log():
                raise Failed("the server took early data and does not say tls-early-data")
        if self.special == "keyupdate" and self.client not in ASK_FOR_KEYS["client"]:
            self.key_update_seen()
        return said

    def key_update_seen(self):
        if "key update: Success" not in self.server_log():
            raise Failed("the server asked for no new traffic keys")

    def ekmotp(self, key, status, *more):
        """ekmotp request; what it wrote."""
        environment, options = settings(self.client, "client", self.version, self.special, self.folder)
        profile, _, carrier = self.profile.partition("-") if self.profile in V1 else (self.profile, "", "")
        command = [self.stacks.ekmotp(self.client), "request", "--id", "client1", "--key", self.keys[key],
                   "--profile", profile, "--hash", self.hash.replace("-", "").lower(), "--cacert", self.path("ca"),
                   "--tls" + self.version.replace(".", ""), *options, *more]
        command += ["--http2"] if self.client == "ekmotp-http2" else ["--http1.1"]
        if self.agent:
            command += ["--agent", self.agent]
        elif self.token != "file":
            command += ["--agent-program", self.stacks.program("p11/agent/ekmotp-agent")]
        if carrier:
            command += ["--carrier", carrier]
        if profile == "v1":
            command += ["--require-server-proof"]
        return self.step(command + [self.url], status, environment)

    def ask_with_ekmotp(self):
        """Three requests on one connection; another key; a proof sent again; a lying server."""
        more = ["--parallel", "3"] if self.client == "ekmotp-http2" else []
        if self.ekmotp("key", 0, "--repeat", "3", *more).count("ok") < 3:
            raise Failed("the body of three answers is not ok")
        connections = len(self.relay.connections)
        if connections != 1:
            raise Failed("three requests took %d connections" % connections)
        if self.special == "keyupdate":
            self.key_update_seen()
        self.ekmotp("other-key", 5)
        if self.server == "ekmotpd":
            return
        self.replay()
        if self.profile in V1:
            wrong = matrix_wire.wrong(self.version, self.special, self.seen())
            if wrong:
                raise Failed("on the wire: " + wrong)
            self.stop()
            self.start("--lie", "yes")
            self.ekmotp("key", 6)

    def never_early(self):
        """Rule 3: ekmotp takes no session up again, so that no request of its can go in early data."""
        lost = False
        try:
            self.ekmotp("key", 0, "--repeat", "3")
        except Failed:
            lost = self.client == "ekmotp-http2" and "was not closed cleanly" in self.log[-1]
            if not lost:
                raise
        connections = self.seen()
        if any(c["early"] or c["offered"] for c in connections):
            raise Failed("ekmotp offered a session, or early data")
        if lost:
            raise Absent("libcurl lost an answer on an HTTP/2 connection that the server ended, as 7.88 does")
        if len(connections) < 3:
            raise Failed("three requests took %d connections" % len(connections))

    def without_ems(self):
        """Rule 1: TLS 1.2 without extended master secret is refused, by whichever end is ours."""
        if self.client.startswith("ekmotp"):
            self.ekmotp("key", 4)
        elif self.client in OURS:
            if "refused by our side" not in self.ask_by_peer(1):
                raise Failed("the client does not say that it refuses")
        elif self.server in ("ekmotpd", "gnutls"):
            said = self.ask_by_peer(1)
            # Go refuses by itself where it has the extension and the peer has not.
            if "reason=tls-ems" not in self.server_log() and "ExportKeyingMaterial is unavailable" not in said:
                raise Failed("the server does not say tls-ems")

    def replay(self):
        """What the foreign server saw of the first request, sent again on a connection of its own."""
        seen = re.search(r"^accepted \S+ (.*)$", self.server_log(), re.M)
        if not seen:
            raise Failed("the server has accepted nothing")
        fields = ["Authorization: " + seen[1]]
        if self.profile.startswith("compat-apikey"):
            fields = ["client: client1", "apikey: " + seen[1]]
        port = str(self.relay.port)
        text = "\r\n".join(["GET /get HTTP/1.1", "Host: localhost:" + port, "Connection: close", *fields, "", ""])
        environment, _ = settings("ekmotp-openssl", "client", self.version, self.special, self.folder)
        done = subprocess.run(["openssl", "s_client", "-quiet", "-connect", "127.0.0.1:" + port, "-servername",
                               "localhost", "-CAfile", self.path("ca")], input=text, text=True,
                              capture_output=True, timeout=SECONDS, check=False, env=dict(os.environ, **environment))
        answer = done.stdout.splitlines()[:1]
        self.log += ["$ openssl s_client ... (the first request again)", *answer]
        if not answer or " 401" not in answer[0]:
            raise Failed("the same proof on a second connection: %s" % answer)

# SPDX-License-Identifier: Apache-2.0
"""The TLS stacks of the interop matrix: their programs, built where needed, and how each is told what to do."""
import functools
import os
import re
import shutil
import subprocess
import sys
import threading

from matrix_tokens import Absent, Failed, Tokens

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.join(HERE, "..", "..")
# As GnuTLS names them, and what else it likes.
GNUTLS_CIPHERS = {"aes128": "AES-128-GCM", "aes256": "AES-256-GCM", "chacha20": "CHACHA20-POLY1305"}
GNUTLS_OTHERS = ("AES-128-CCM", "AES-256-CCM", "AES-128-CBC", "AES-256-CBC")
OPENSSL_SUITES = {"aes128": ("TLS_AES_128_GCM_SHA256", "ECDHE+AESGCM+AES128"),
                  "aes256": ("TLS_AES_256_GCM_SHA384", "ECDHE+AESGCM+AES256"),
                  "chacha20": ("TLS_CHACHA20_POLY1305_SHA256", "ECDHE+CHACHA20")}
# Where the stack is told by OpenSSL's configuration file, because it has no call for it or the program no option.
BY_OPENSSL_CONF = ("ekmotpd", "ekmotp-openssl", "python")
BY_GNUTLS_CONF = ("ekmotp", "ekmotp-http2", "gnutls")


@functools.lru_cache(maxsize=None)
def output(*command):
    """What a command prints; "" where it is not there."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False).stdout.strip()
    except OSError:
        return ""


def version_of(text):
    found = re.search(r"(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def go_has_ems():
    return version_of(output("go", "env", "GOVERSION") or output("go", "version").replace("go version", "")) >= (1, 21)


def lacks_pq(stack):
    """Why a stack cannot speak X25519MLKEM768; None: it can."""
    if stack in ("ekmotp", "ekmotp-http2", "gnutls"):
        if "X25519-MLKEM768" in output("gnutls-cli", "--list"):
            return None
        return "GnuTLS %s has no X25519MLKEM768" % output("pkg-config", "--modversion", "gnutls")
    name, text, since = {
        "node": ("Node's OpenSSL", output("node", "-p", "process.versions.openssl"), (3, 5)),
        "go": ("Go", output("go", "version").replace("go version go", ""), (1, 24)),
        "nss": ("NSS", output("pkg-config", "--modversion", "nss"), (3, 105)),
        "wolfssl": ("wolfSSL", output("pkg-config", "--modversion", "wolfssl"), (5, 8)),
    }.get(stack, ("OpenSSL", output("openssl", "version"), (3, 5)))
    if version_of(text) >= since:
        return None
    found = re.search(r"\d[\d.]*", text)
    return "%s %s has no X25519MLKEM768" % (name, found[0] if found else "is not here, and so")


class Stacks:
    def __init__(self, build, folder):
        self.build, self.folder = build, folder
        self.tokens = Tokens(folder, build)
        self.certificates, self.made, self.lock = {}, {}, threading.RLock()

    def once(self, name, make):
        """What make() gave the first time, or raises again what it raised."""
        with self.lock:
            if name not in self.made:
                try:
                    self.made[name] = make()
                except (Absent, Failed) as e:
                    self.made[name] = e
            made = self.made[name]
        if isinstance(made, Exception):
            raise made
        return made

    def program(self, path):
        full = os.path.join(self.build, path)
        if not os.access(full, os.X_OK):
            raise Absent("%s is not built" % os.path.basename(path))
        return full

    def ekmotp(self, client):
        if client != "ekmotp-openssl":
            return self.program("client/ekmotp")
        full = os.path.join(self.build, "..", "openssl", "client", "ekmotp")
        if not os.access(full, os.X_OK):
            raise Absent("ekmotp is not built on libcurl's OpenSSL flavour here; ./dev matrix builds it")
        return full

    def peer(self, kind, side):
        """The command of a client or server that is no program of the project."""
        makers = {"openssl": lambda: [self.checked("openssl_client")], "gnutls": lambda: [self.checked("gnutls_server")],
                  "node": self.node, "python": self.python, "go": lambda: [self.go(side)]}
        command = self.once((kind, side), makers.get(kind, lambda: [self.compiled(kind)]))
        return command + {"node": [os.path.join(HERE, "node", side + ".js")],
                          "python": [os.path.join(HERE, "python", side + ".py")]}.get(kind, [])

    def checked(self, name):
        """A check program, which a plain build leaves out."""
        path = os.path.join("tests", "interop", name)
        made = subprocess.run(["make", "-C", self.build, path], capture_output=True, text=True, check=False)
        if made.returncode:
            raise Failed("make %s: %s" % (name, made.stderr))
        return os.path.join(self.build, path)

    @staticmethod
    def node():
        node = shutil.which("node") or shutil.which("nodejs")
        if not node:
            raise Absent("nodejs is not installed")
        return [node]

    @staticmethod
    def python():
        python = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
        if subprocess.run([python, "-c", "import OpenSSL, cryptography"], capture_output=True, check=False).returncode:
            raise Absent("python3-openssl is not installed")
        return [python, "-B"]

    def go(self, side):
        if not shutil.which("go"):
            raise Absent("golang-go is not installed")
        binary = os.path.join(self.folder, "go-" + side)
        env = dict(os.environ, GO111MODULE="off", GOCACHE=os.path.join(self.folder, "go-cache"))
        made = subprocess.run(["go", "build", "-o", binary, side + ".go", "protocol.go", "bearer.go"], env=env,
                              cwd=os.path.join(HERE, "go"), capture_output=True, text=True, check=False)
        if made.returncode:
            raise Failed("go build: " + made.stderr)
        return binary

    def compiled(self, kind):
        binary, package = os.path.join(self.folder, kind), {"nss": "libnss3-dev", "wolfssl": "libwolfssl-dev"}[kind]
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", kind], capture_output=True, text=True, check=False)
        if flags.returncode:
            raise Absent(package + " is not installed")
        made = subprocess.run(["cc", "-o", binary, "client.c", "v1.c", kind + ".c", *flags.stdout.split()],
                              cwd=os.path.join(HERE, "c"), capture_output=True, text=True, check=False)
        if made.returncode:
            raise Failed("cc: " + made.stderr)
        return binary

    def certificate(self, kind):
        """The folder with ca.pem, server.pem and server.key."""
        def make():
            folder = os.path.join(self.folder, "tls-" + kind)
            script = 'cannot() { echo "$*" >&2; exit 1; }; . "$1/tests/lib/tls.sh"; make_certificate "$2" "$3"'
            subprocess.run(["bash", "-euc", script, "-", TOP, folder, kind], check=True)
            return folder
        return self.once("certificate " + kind, make)

    def close(self):
        self.tokens.close()


def settings(stack, side, version, special, folder):
    """(environment, options) that make a stack do what is special about the cell."""
    environment, options, lines = {}, [], []
    cipher = special if special in OPENSSL_SUITES else None
    group = {"hrr": "P-384", "pq": "X25519MLKEM768"}.get(special) if side == "server" else None
    no_ems = special == "no-ems" and side == "server"
    if stack in BY_OPENSSL_CONF:
        if cipher:
            lines += ["Ciphersuites = " + OPENSSL_SUITES[cipher][0], "CipherString = " + OPENSSL_SUITES[cipher][1]]
        if group and stack != "ekmotpd":
            lines.append("Groups = " + group)
        if no_ems:
            lines.append("Options = -ExtendedMasterSecret")
        if lines:
            environment["OPENSSL_CONF"] = write(folder, "openssl-%s.cnf" % side, "openssl_conf = a\n[a]\nssl_conf = b\n"
                                                "[b]\nsystem_default = c\n[c]\n" + "\n".join(lines) + "\n")
    elif cipher and stack in BY_GNUTLS_CONF:
        others = GNUTLS_OTHERS + tuple(name for kind, name in GNUTLS_CIPHERS.items() if kind != cipher)
        environment["GNUTLS_SYSTEM_PRIORITY_FILE"] = write(folder, "gnutls-%s.cnf" % side, "[overrides]\n" + "".join(
            "tls-disabled-cipher = %s\n" % name for name in others))
    elif cipher and (stack, side) != ("go", "server"):  # its HTTP/2 insists on AES-128-GCM in TLS 1.2
        options += ["--cipher", cipher]
    if group and stack not in ("python",):
        options += ["--groups", group]
    if no_ems and stack in ("node", "gnutls"):
        options += ["--ems", "no"]
    if stack == "go":
        # Built without a module, a Go program behaves like older ones, which did not offer the group.
        environment["GODEBUG"] = "tlsmlkem=1"
    return environment, options


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)
    return path

#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""Clients of other TLS stacks, those of the interop matrix, and ekmotp request, through nginx: let in, and refused
where the client expects it (each does both). nginx's own log shows who they were."""
import glob
import os
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
import nginx  # noqa: E402
from nginx import build, harness, path, same, wait_for  # noqa: E402

INTEROP = os.path.join(harness.srcdir, "tests", "interop")
EKMOTP = os.path.join(build, "client", "ekmotp")
PROFILES = {"v1": "SHA-256", "v1-jws": "SHA-384", "v1-jwe": "SHA-512", "compat-apikey": "apikey",
            "compat-apikey-hmac": "hmac"}

subprocess.run(["bash", "-euc", 'cannot() { echo "$*" >&2; exit 1; }; . "$1/tests/lib/tls.sh"; make_certificate "$2"',
                "-", harness.srcdir, harness.tmp], check=True)
directory = harness.Directory("SHA-256", "alice")
for name in ("SHA-384", "SHA-512"):
    directory.add(name, "--hash", name)
directory.add("apikey", "--profile", "compat-apikey")
directory.add("hmac", "--profile", "compat-apikey-hmac")
server = nginx.Nginx(directory, ("v1", "compat-apikey", "compat-apikey-hmac"), (path("server.pem"), path("server.key")))
URL = "https://localhost:%d/get" % server.port
keys = {}
for name, key in directory.keys.items():
    keys[name] = path("key-" + name)
    with open(os.open(keys[name], os.O_WRONLY | os.O_CREAT, 0o600), "wb") as f:
        f.write(key)


def run(command, status=0):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    same("status of %s\n%s%s" % (command, done.stdout, done.stderr), done.returncode, status)
    return done.stdout


def entries(who, reason):
    """Lines of nginx's access log."""
    with open(server.file("access.log"), encoding="ascii") as f:
        return len(re.findall("client=%s reason=%s$" % (who, reason), f.read(), re.M))


def peer(command, cells, ems=True):
    """Runs a client of the matrix in each cell (TLS version, profile, id)."""
    for version, profile, who in cells:
        before = entries(who, "ok"), entries("-", "other-session")
        refused = version == "1.2" and not ems
        run([*command, "--url", URL, "--ca", path("ca.pem"), "--client-key", keys[who], "--id", who, "--profile", profile,
             "--hash", who if who.startswith("SHA") else "SHA-256", "--tls", version], 1 if refused else 0)
        if refused:
            server.wait_log("reason=tls-ems client=\"%s\"" % who)
            continue
        wait_for(who + " in the log", lambda: entries(who, "ok") >= before[0] + 2)
        if profile == "v1":
            wait_for("a proof of another connection", lambda: entries("-", "other-session") > before[1])


ALL = [(version, profile, who) for version in ("1.3", "1.2") for profile, who in PROFILES.items()]
V1 = [(version, "v1", who) for version in ("1.3", "1.2") for who in ("SHA-256", "SHA-384", "SHA-512")]


def absent(what):
    print("left out:", what, "is not installed")


def test_node():
    if not shutil.which("node"):
        return absent("nodejs")
    return peer(["node", os.path.join(INTEROP, "node", "client.js")], ALL + V1)


def test_python():
    peer(["/usr/bin/python3", "-B", os.path.join(INTEROP, "python", "client.py")], ALL + V1)


def test_go():
    if not shutil.which("go"):
        return absent("golang-go")
    folder = os.path.join(INTEROP, "go")
    sources = [s for s in glob.glob(folder + "/*.go") if os.path.basename(s) != "server.go"]
    subprocess.run(["go", "build", "-o", path("go"), *sources], cwd=folder, check=True,
                   env=dict(os.environ, GO111MODULE="off", GOCACHE=path("go-cache")))
    version = re.search(r"go1\.(\d+)", run(["go", "version"]))
    return peer([path("go")], V1 + [("1.3", "compat-apikey", "apikey")], ems=int(version[1]) >= 21)


def compiled(kind, package):
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", kind], capture_output=True, text=True)
    if flags.returncode:
        return absent(package)
    folder = os.path.join(INTEROP, "c")
    subprocess.run(["cc", "-o", path(kind), "client.c", "v1.c", kind + ".c", *flags.stdout.split()], cwd=folder, check=True)
    return peer([path(kind)], V1)


def test_nss():
    compiled("nss", "libnss3-dev")


def test_wolfssl():
    compiled("wolfssl", "libwolfssl-dev")


def test_ekmotp():
    for version in ("--tls13", "--tls12"):
        for http in ("--http2", "--http1.1"):
            for profile, who in PROFILES.items():
                name, _, carrier = (profile.partition("-") if profile.startswith("v1") else (profile, "", ""))
                command = [EKMOTP, "request", "--id", who, "--profile", name, "--cacert", path("ca.pem"), version, http]
                command += ["--hash", who.replace("-", "").lower()] if who.startswith("SHA") else []
                command += ["--carrier", carrier] if carrier else []
                before = entries(who, "ok")
                proof = ["--require-server-proof"] if name == "v1" else []
                same("bodies", run(command + proof + ["--key", "file:" + keys[who], "--repeat", "3", URL]), "okokok")
                wait_for(who + " in the log", lambda: entries(who, "ok") == before + 3)
                run(command + ["--key", "file:" + keys["alice"], URL], 5)


def test_nobody_died():
    server.stop()


harness.main()

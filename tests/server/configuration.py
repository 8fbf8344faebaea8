#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""ekmotpd.conf and options: what is wrong is named with its place; what is right is what is used."""
import os
import re
import subprocess

import harness
from harness import EKMOTPD, Directory, Server, Tls, certificate, check, path, same

directory = Directory()
cert, key = certificate()
RIGHT = """# comment
; comment
[server]
listen = 127.0.0.1:0
listen = 127.0.0.1:0
threads = 1
[tls]
cert = %s
key = %s
[directory]
file = %s
[auth]
profile = v1,compat-apikey
realm = a realm ; of ours
show-derived = no
[limits]
requests-per-connection = 2
[log]
level = info
format = json
[admin]
listen = 127.0.0.1:0
""" % (cert, key, directory.file)


def write(text):
    name = path("ekmotpd.conf")
    with open(name, "w", encoding="latin-1") as f:
        f.write(text)
    return name


def serve(*options):
    return subprocess.run([EKMOTPD, "serve", *options], capture_output=True, text=True, timeout=20, check=False)


def wrong(text, line, *words):
    """The file is refused, with this line's number and these words."""
    done = serve("--check-config", "--config", write(text))
    same("exit status for %r" % text[-60:], done.returncode, 2)
    for word in ("ekmotpd.conf:%d:" % line if line else "",) + words:
        check(word in done.stderr, "%r is not in %r" % (word, done.stderr))


def usage(status, word, *options):
    done = serve(*options)
    same("exit status of %r" % (options,), done.returncode, status)
    check(word in done.stderr, "%r is not in %r" % (word, done.stderr))


def test_right():
    done = serve("--check-config", "--config", write(RIGHT))
    same("exit status", (done.returncode, done.stdout), (0, "the configuration is fine\n"))


def test_file_is_used_and_options_win():
    server = Server("--config", write(RIGHT), "--realm", "mine", listen=None, admin=False, directory=directory)
    same("addresses", len(server.ports), 2)
    c = Tls(server.ports[1])
    r = c.request()
    same("realm", r.fields["www-authenticate"], 'EKMOTP realm="mine"')
    same("requests per connection", c.request().fields.get("connection"), "close")
    server.wait_log(r'^\{"time":"[^"]*","level":"info","event":"request",.*"reason":"no-credentials".*\}$')
    same("loops", server.metric("ekmotp_loops"), 1)
    server.stop()
    server = Server("--config", write(RIGHT), directory=directory)  # --listen replaces the file's list
    same("addresses", len(server.ports), 1)
    same("realm", Tls(server.port).request().fields["www-authenticate"], 'EKMOTP realm="a realm"')
    server.stop()


def test_wrong_lines():
    n = RIGHT.count("\n")
    wrong(RIGHT + "[limits]\nbody-size = many\n", n + 2, "body-size", "'many' is not a whole number", "1073741824")
    wrong(RIGHT + "[limits]\nbody-size = 1073741825\n", n + 2)
    wrong(RIGHT + "[limits]\nidle-timeout = 0\n", n + 2, "1 to")
    wrong(RIGHT + "[limits]\nidle-timeout = -1\n", n + 2)
    wrong(RIGHT + "[limits]\nidle-timeout = 10s\n", n + 2)
    wrong(RIGHT + "[limits]\nidle-timeout = 99999999999999999999\n", n + 2)
    wrong(RIGHT + "[limits]\nno-such = 1\n", n + 2, "no setting 'no-such' in section [limits]")
    wrong(RIGHT + "[nothing]\n", n + 1, "no section [nothing]")
    wrong("listen = 1\n", 1, "no setting 'listen' in section []")
    wrong(RIGHT + "[auth]\nrealm = two\n", n + 2, "realm stands twice")
    wrong(RIGHT + "[token]\npin-source =\n", n + 2, "value is missing")
    wrong(RIGHT + "[auth]\nno equals sign\n", n + 2, "neither")
    wrong(RIGHT + "[auth\n", n + 1, "neither")
    wrong(RIGHT.replace("format = json", "format = xml"), 20, "'xml' is none of: logfmt, json")
    wrong(RIGHT.replace("level = info", "level = loud"), 19, "'loud' is none of: error, warning, info, debug")
    wrong(RIGHT.replace("v1,compat-apikey", "v1,v2"), 13, "v2")
    wrong(RIGHT.replace("v1,compat-apikey", "v1,v1"), 13)
    wrong(RIGHT.replace("show-derived = no", "show-derived = maybe"), 15, "neither yes nor no")
    wrong(RIGHT.replace("threads = 1", "  threads = 1"), 6, "white space")
    wrong(RIGHT + "[auth]\naudience = " + "x" * 5000 + "\n", n + 2, "longer than")


def test_long_lines_are_taken():
    uri = "pkcs11:token=" + "x" * 3000
    wrong(RIGHT + "[tls]\ngroups = " + uri + "\n", None, "groups: OpenSSL")


def test_wrong_files():
    done = serve("--check-config", "--config", write(RIGHT.replace("cert = " + cert, "cert = " + path("none.pem"))))
    check(done.returncode == 1 and "certificate in " + path("none.pem") in done.stderr, done.stderr)
    with open(path("not.pem"), "w", encoding="ascii") as f:
        f.write("nothing\n")
    for old in ("cert = " + cert, "key = " + key):
        done = serve("--check-config", "--config", write(RIGHT.replace(old, old.split()[0] + " = " + path("not.pem"))))
        same("exit status", done.returncode, 1)
        check("not.pem" in done.stderr, done.stderr)
    done = serve("--check-config", "--config", write(RIGHT.replace("key = " + key, "key = " + certificate("o")[1])))
    check(done.returncode == 2 and "does not belong" in done.stderr, done.stderr)
    done = serve("--check-config", "--config", write(RIGHT.replace(directory.file, path("none.db"))))
    check(done.returncode == 1 and "none.db" in done.stderr, done.stderr)
    check(not os.path.exists(path("none.db")), "a server made a directory")
    for setting in ("listen = nonsense", "listen = 127.0.0.1:99999", "listen = 127.0.0.1"):
        done = serve("--check-config", "--config", write(RIGHT + "[server]\n" + setting + "\n"))
        check(done.returncode == 2 and setting[9:] in done.stderr, setting, done.stderr)
    done = serve("--check-config", "--config", write(RIGHT), "--admin-listen", "0.0.0.0:0")
    check(done.returncode == 2 and "is not loopback" in done.stderr, done.stderr)
    wrong(RIGHT + "\0[nothing]\n", RIGHT.count("\n") + 1, "NUL byte")
    wrong(RIGHT + "[auth]\nrealm\0 = two\n", RIGHT.count("\n") + 2, "NUL byte")
    for last in ("realm = two\0", "realm = t\0wo", "\0", "#\0", "\0\0realm = two"):  # without an end of line
        wrong(RIGHT + "[auth]\n" + last, RIGHT.count("\n") + 2, "NUL byte")
    for setting in ("static = " + path("nowhere"), "handler = /x=" + path("nowhere.so"), "handler = x", "handler = /=a",
                    "handler = /x=" + path("not.pem")):
        done = serve("--check-config", "--config", write(RIGHT + "[content]\n" + setting + "\n"))
        check(done.returncode in (1, 2) and done.stderr, "exit status of " + setting, done.returncode)
    usage(2, "No such file", "--config", path("none.conf"))
    encrypted = path("encrypted.key")
    subprocess.run(["openssl", "ec", "-in", key, "-aes256", "-passout", "pass:x", "-out", encrypted], check=True,
                   capture_output=True)
    done = serve("--check-config", "--config", write(RIGHT.replace("key = " + key, "key = " + encrypted)))
    check(done.returncode == 1 and encrypted in done.stderr, done.stderr)


def test_options():
    base = ["--cert", cert, "--key", key, "--directory", directory.file]
    usage(2, "--cert is missing", "--listen", "127.0.0.1:0")
    usage(2, "--directory is missing", "--listen", "127.0.0.1:0", *base[:4])
    usage(2, "nowhere to listen", *base)
    usage(2, "unrecognized option", "--no-such-option")
    usage(2, "is no option", "word")
    usage(2, "--idle-timeout: 'x'", *base, "--idle-timeout", "x")
    usage(2, "--profile:", *base, "--profile", "v9")
    usage(2, "--compat-client ID", *base, "--listen", "127.0.0.1:0", "--profile", "compat-jws")
    usage(2, "realm", *base, "--listen", "127.0.0.1:0", "--realm", 'quo"te')
    for address in ("127.0.0.1", "127.0.0.1:", ":8443", "::1:8443", "[::1]", "127.0.0.1:70000", "127.0.0.1:x",
                    "no.such.host.invalid:1", "1.2.3.4.5:1"):
        usage(2, "address", *base, "--listen", address)
    usage(1, "cannot listen on 192.0.2.77:1", *base, "--listen", "192.0.2.77:1")
    usage(2, "is not loopback", *base, "--listen", "127.0.0.1:0", "--admin-listen", "0.0.0.0:0")
    usage(2, "groups: OpenSSL", *base, "--listen", "127.0.0.1:0", "--groups", "no-such-group")
    for option in ("--help", "--usage"):
        same("exit status of " + option, serve(option).returncode, 0)


def test_groups():
    server = Server("--groups", "P-384", directory=directory)
    text = subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:%d" % server.port, "-tls1_3"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False).stdout
    check("secp384r1" in text or "P-384" in text, text)
    server.stop()


def test_commands():
    for arguments, status, word in [([], 2, "Usage"), (["--help"], 0, "serve"), (["version"], 0, "ekmotpd "),
                                    (["--version"], 0, "ekmotpd "), (["nonsense"], 2, "no command 'nonsense'")]:
        done = subprocess.run([EKMOTPD, *arguments], capture_output=True, text=True, check=False)
        same("exit status of %r" % arguments, done.returncode, status)
        check(word in done.stdout + done.stderr, done.stdout, done.stderr)


def test_documentation():
    """Every option is in ekmotpd.conf(5), and every setting there is an option."""
    with open(os.path.join(harness.srcdir, "docs", "man", "ekmotpd.conf.5"), encoding="utf-8") as f:
        manual = f.read().replace("\\-", "-")
    section, documented = None, set()
    for line in manual.splitlines():
        if line.startswith(".SS ["):
            section = line[5:].strip("]")
        found = re.match(r'\.BR ([a-z-]+) " = ', line)
        if found and section:
            other = re.search(r"--([a-z-]+)", line)
            documented.add(other.group(1) if other else found.group(1))
    offered = set(re.findall(r"^ +--([a-z-]+)", serve("--help").stdout, re.M)) - {"config", "check-config", "help", "usage"}
    same("documented and offered", documented ^ offered, set())


harness.main()

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Reads a directory and an export by docs/directory.md alone: the format is what the page says."""
import base64
import hashlib
import hmac
import os
import sqlite3
import struct
import subprocess
import sys
import tempfile

try:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
except ImportError:
    print("format.py: python3-cryptography is not installed")
    sys.exit(77)

LEAST, GREATEST = -(2**63), 2**63 - 1
tmp = tempfile.TemporaryDirectory(prefix="ekmotp-test.")
folder = tmp.name
db = os.path.join(folder, "d")
tool = os.path.join(os.getcwd(), "server", "ekmotpd")


def client(*args):
    done = subprocess.run([tool, "client", *args, "--directory", db], stdin=subprocess.DEVNULL, capture_output=True)
    assert done.returncode == 0, (args, done.stderr)
    return done.stdout.decode()


def path(name):
    return os.path.join(folder, name)


def read(name):
    with open(path(name), "rb") as f:
        return f.read()


def kdf(key, label, context, length):
    out, i = b"", 1
    while len(out) < length:
        message = struct.pack(">I", i) + label + b"\0" + context + struct.pack(">I", 8 * length)
        out, i = out + hmac.new(key, message, hashlib.sha256).digest(), i + 1
    return out[:length]


def unseal(key, sealed, fields):
    return AESGCM(key).decrypt(sealed[:12], sealed[12:], fields)


def text(value):
    value = (value or "").encode()
    return struct.pack(">H", len(value)) + value


def fields_of(kind, row):
    keys = [k for k in ("k1_", "k2_") if row[k + "serial"] is not None]
    out = bytes([kind, 1, len(row["id"])]) + row["id"]
    out += struct.pack(">BIBqqI", row["hash"], row["profiles"], row["disabled"], row["created"], row["changed"],
                       row["generation"])
    out += text(row["note"]) + bytes([len(keys)])
    for k in keys:
        before, after = row[k + "not_before"], row[k + "not_after"]
        out += struct.pack(">QBIqq", row[k + "serial"], row[k + "source"], row[k + "generation"] or 0,
                           LEAST if before is None else before, GREATEST if after is None else after)
        out += text(row[k + "uri"])
    return out


def keys_of(plain):
    keys = []
    while plain:
        keys.append(plain[1 : 1 + plain[0]])
        plain = plain[1 + plain[0] :]
    return keys


with open(path("master"), "wb") as f:
    os.fchmod(f.fileno(), 0o600)
    f.write(b"m" * 32)
client("add", "alice", "--out", path("alice.key"), "--note", "caf\u00e9", "--not-after", "+90d")
client("rotate", "alice", "--out", path("alice-2.key"))
client("add", "b%00%FF", "--hash", "sha512", "--out", path("b.key"), "--disabled")
client("add", "carol", "--derive", "--master", path("master"), "--out", path("carol.key"))
client("add", "gone", "--derive", "--master", path("master"))
client("remove", "gone")
client("add", "dora", "--token", "pkcs11:token=t;object=o")

connection = sqlite3.connect(db)
connection.row_factory = sqlite3.Row
assert connection.execute("PRAGMA application_id").fetchone()[0] == 0x454B4D4F
version = connection.execute("PRAGMA user_version").fetchone()[0]
assert version == 2

kek = read("d.kek")
head = connection.execute("SELECT * FROM directory").fetchone()
record_key = kdf(kek, b"ekmotp v1 directory record", head["uuid"], 32)
export_key = kdf(kek, b"ekmotp v1 directory export", b"", 32)
assert head["clients"] == 4 and head["retired"] == 1
assert head["master"] == kdf(b"m" * 32, b"ekmotp v1 master check", b"", 8)
head_fields = struct.pack(">BBI16sQQ", 1, 1, version, head["uuid"], head["clients"], head["retired"])
assert unseal(record_key, head["sealed"], head_fields + b"\1" + head["master"]) == b""

rows = {row["id"]: row for row in connection.execute("SELECT * FROM client")}
assert set(rows) == {b"alice", b"b\0\xff", b"carol", b"dora"}
opened = {name: keys_of(unseal(record_key, row["sealed"], fields_of(2, row))) for name, row in rows.items()}
assert opened[b"alice"] == [read("alice-2.key"), read("alice.key")]
assert opened[b"b\0\xff"] == [read("b.key")] and len(read("b.key")) == 64
assert opened[b"carol"] == [b""] and opened[b"dora"] == [b""]
assert read("carol.key") == kdf(b"m" * 32, b"ekmotp v1 client key", b"carol" + struct.pack(">I", 1), 32)

gone = connection.execute("SELECT * FROM retired").fetchone()
assert gone["id"] == b"gone" and gone["generation"] == 1
gone_fields = bytes([3, 1, 4]) + b"gone" + struct.pack(">BIBqqI", 0, 0, 0, 0, 0, 1) + text("") + b"\1"
gone_fields += struct.pack(">QBIqq", 0, 2, 0, 0, 0) + text("")
assert keys_of(unseal(record_key, gone["sealed"], gone_fields)) == [b""]

# Another key, another row's fields: nothing opens.
for key, sealed, fields in (
    (export_key, rows[b"alice"]["sealed"], fields_of(2, rows[b"alice"])),
    (record_key, rows[b"alice"]["sealed"], fields_of(2, rows[b"carol"])),
    (record_key, rows[b"alice"]["sealed"], fields_of(4, rows[b"alice"])),
):
    try:
        unseal(key, sealed, fields)
    except InvalidTag:
        continue
    raise AssertionError("opened")

# An export.
lines = dict(line.split(" ", 1) for line in client("export").splitlines())
assert set(lines) == {"alice", "b%00%FF", "carol", "dora"}
mark, body = lines["alice"].split(":", 1)
body = base64.b64decode(body, validate=True)
(length,) = struct.unpack(">H", body[:2])
assert mark == "wrapped" and body[2 : 2 + length] == fields_of(4, rows[b"alice"])
assert keys_of(unseal(export_key, body[2 + length :], body[2 : 2 + length])) == opened[b"alice"]

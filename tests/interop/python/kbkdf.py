#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A third opinion on docs/vectors: OpenSSL's HKDF-Expand and python3-cryptography's SP 800-108 KDF."""
import json
import os
import struct
import sys

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from cryptography.hazmat.primitives.kdf.kbkdf import KBKDFHMAC, CounterLocation, Mode

HASHES = {"SHA-256": hashes.SHA256, "SHA-384": hashes.SHA384, "SHA-512": hashes.SHA512}
checks = 0


def kdf(hash_name, key, label, context, size):
    return KBKDFHMAC(
        algorithm=HASHES[hash_name](), mode=Mode.CounterMode, length=size, rlen=4, llen=4,
        location=CounterLocation.BeforeFixed, label=label, context=context, fixed=None).derive(key)


def expand_label(hash_name, secret, label, data, size):
    full = b"tls13 " + label
    info = struct.pack(">H", size) + bytes([len(full)]) + full + bytes([len(data)]) + data
    return HKDFExpand(algorithm=HASHES[hash_name](), length=size, info=info).derive(secret)


def digest(hash_name, data):
    h = hashes.Hash(HASHES[hash_name]())
    h.update(data)
    return h.finalize()


def same(name, got, wanted):
    global checks
    checks += 1
    if got.hex() != wanted:
        sys.exit("kbkdf.py: %s: %s is not %s" % (name, got.hex(), wanted))


def check_exports(case):
    tls = case["tls"]
    if tls["version"] != "1.3":
        return
    h, master = tls["hash"], bytes.fromhex(tls["exporter_master_secret"])
    for call in case["exports"]:
        secret = expand_label(h, master, call["label"].encode(), digest(h, b""), HASHES[h].digest_size)
        value = expand_label(h, secret, b"exporter", digest(h, bytes.fromhex(call["context"])), call["length"])
        same(case["name"] + ": exporter", value, call["value"])


def check_v1(case):
    h, size = case["client"]["hash"], HASHES[case["client"]["hash"]].digest_size
    key = bytes.fromhex(case["client"]["key"])
    secret = kdf(h, key, b"ekmotp v1 channel", bytes.fromhex(case["ekm"]), size)
    same(case["name"] + ": channel secret", secret, case["channel_secret"])
    same(case["name"] + ": JWS key", kdf(h, secret, b"ekmotp v1 jws", b"", size), case["jws_key"])
    same(case["name"] + ": JWE key", kdf(h, secret, b"ekmotp v1 jwe", b"", 32), case["jwe_key"])
    for request in case["requests"]:
        n = struct.pack(">Q", int(request["n"]))
        for side in ("client", "server"):
            proof = kdf(h, secret, b"ekmotp v1 %s proof" % side.encode(), n, 32)
            same("%s: %s proof %s" % (case["name"], side, request["n"]), proof, request[side + "_proof"])


for file in ("v1", "compat"):
    with open(os.path.join(sys.argv[1], file + ".json"), encoding="utf-8") as f:
        for one in json.load(f)["cases"]:
            check_exports(one)
            if file == "v1":
                check_v1(one)
print("kbkdf.py: %d values agree" % checks)

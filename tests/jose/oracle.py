# SPDX-License-Identifier: Apache-2.0
"""oracle.py ORACLE: tokens of libekmotp-jose read by jwcrypto, and tokens of jwcrypto read by libekmotp-jose."""
import json
import subprocess
import sys

from jwcrypto import jwe, jwk, jws
from jwcrypto.common import base64url_encode

CELLS = [(f"{kind}:{name}", kind, alg, size)
         for kind in ("jws", "jwe")
         for name, alg, size in (("sha256", "HS256", 32), ("sha384", "HS384", 48), ("sha512", "HS512", 64))]
CELLS += [("compat-jws", "jws", "HS256", 32), ("compat-jwe", "jwe", "HS256", 32)]


def key(raw):
    return jwk.JWK(kty="oct", k=base64url_encode(raw))


def oracle(*words, token=None):
    done = subprocess.run([sys.argv[1], *words], input=token, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1) or done.stderr:
        sys.exit(f"oracle {words}: {done.returncode} {done.stderr}")
    return done.returncode == 0, done.stdout


def read(token, kind, alg, jws_key, jwe_key):
    """The inner header and the claims, as jwcrypto sees them."""
    if kind == "jwe":
        outer = jwe.JWE(algs=["dir", "A256GCM"])
        outer.deserialize(token, key=key(jwe_key))
        assert outer.jose_header["enc"] == "A256GCM" and outer.jose_header["cty"] == "JWT"
        token = outer.payload.decode()
    inner = jws.JWS()
    inner.allowed_algs = [alg]
    inner.deserialize(token, key=key(jws_key))
    return inner.jose_header, json.loads(inner.payload)


def write(kind, header, outer_header, claims, jws_key, jwe_key):
    inner = jws.JWS(json.dumps(claims))
    inner.add_signature(key(jws_key), protected=json.dumps(header))
    token = inner.serialize(compact=True)
    if kind == "jwe":
        outer = jwe.JWE(token, protected=json.dumps(outer_header), algs=["dir", "A256GCM"])
        outer.add_recipient(key(jwe_key))
        token = outer.serialize(compact=True)
    return token


for cell, kind, alg, size in CELLS:
    compat = cell.startswith("compat")
    ok, out = oracle("make", cell)
    assert ok, cell
    token, jws_hex, jwe_hex = out.split()
    jws_key, jwe_key = bytes.fromhex(jws_hex), bytes.fromhex(jwe_hex)
    assert len(jws_key) == size
    header, claims = read(token, kind, alg, jws_key, jwe_key)
    assert header["alg"] == alg and header.get("kid") == (None if compat else "client-7"), header
    assert claims["scope"] == ["a", {"b": 1}], claims
    assert compat or (claims["n"] == 1 and claims["sub"] == "client-7" and claims["iat"] == 1700000000), claims

    header = {"alg": alg} if compat else {"typ": "JWT", "kid": "client-7", "alg": alg}
    outer = {"typ": "JWT", "cty": "JWT", "enc": "A256GCM", "alg": "dir", "kid": "client_1" if compat else "client-7"}
    claims = {"sub": "client-7", "x": {"y": [None, 1.5, "\u00e9"]}, "n": 2**64 - 1}
    token = write(kind, header, outer, claims, jws_key, jwe_key)
    ok, out = oracle("open", cell, jws_hex, jwe_hex, token=token)
    assert ok and json.loads(out) == claims, (cell, out)
    for wrong in ((jwe_hex + "00" * 32)[:2 * size], jwe_hex), (jws_hex, "11" * 32):
        if kind == "jws" and wrong[0] == jws_hex:
            continue
        ok, out = oracle("open", cell, *wrong, token=token)
        assert not ok and out.startswith("wrong-proof: "), (cell, out)
    # The members that jwcrypto knows and ekmotp refuses.
    for extra in ({"jku": "https://a.example/"}, {"cty": "x"} if kind == "jws" else {"zip": "DEF"}):
        in_outer = "zip" in extra
        token = write(kind, header if in_outer else {**header, **extra}, {**outer, **extra} if in_outer else outer,
                      claims, jws_key, jwe_key)
        ok, out = oracle("open", cell, jws_hex, jwe_hex, token=token)
        assert not ok and out.startswith("malformed: ") and "is not taken" in out, (cell, out)
    print(f"{cell}: read by jwcrypto, and jwcrypto's read by us")

# SPDX-License-Identifier: Apache-2.0
"""What the pyOpenSSL client and server share: options, credentials and their check, lines of HTTP/1.1."""
import base64
import hmac
import json
import os
import re
import sys

import reference as ref
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from OpenSSL import SSL


class Options:
    """"--name value ..." as attributes."""

    def __init__(self, argv):
        self.hash, self.profile, self.id = "SHA-256", "v1", "client1"
        self.tls = self.event = self.close = self.lie = None
        for name, value in zip(argv[::2], argv[1::2]):
            setattr(self, name[2:].replace("-", "_"), value)
        with open(self.client_key, "rb") as f:
            self.key = f.read()
        self.id_bytes = self.id.encode()

    def context(self):
        context = SSL.Context(SSL.TLS_METHOD)
        versions = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}
        context.set_min_proto_version(versions[self.tls or "1.2"])
        context.set_max_proto_version(versions[self.tls or "1.3"])
        context.set_options(SSL.OP_NO_RENEGOTIATION if hasattr(SSL, "OP_NO_RENEGOTIATION") else 0x40000000)
        return context


def exporter(connection):
    return lambda label, context, length: connection.export_keying_material(label, length, context)


def jws(hash_name, key, header, claims):
    head = ref.b64url(json.dumps(header).encode()) + "." + ref.b64url(json.dumps(claims).encode())
    return head + "." + ref.b64url(ref.hmac_of(hash_name, key, head.encode()))


def jwe(key, header, plain):
    head, iv = ref.b64url(json.dumps(header).encode()), os.urandom(12)
    sealed = AESGCM(key).encrypt(iv, plain.encode(), head.encode())
    return ".".join((head, "", ref.b64url(iv), ref.b64url(sealed[:-16]), ref.b64url(sealed[-16:])))


def jwt_keys(o, export):
    """hash, JWS key, JWE key."""
    if o.profile.startswith("v1"):
        v = ref.V1(export, o.key, o.id_bytes, o.hash)
        return o.hash, v.jws_key(), v.jwe_key()
    return ("SHA-256", ref.compat_jwt_key(export, o.key, b"sig_key"),
            ref.compat_jwt_key(export, o.key, b"enc_key"))


def credentials(o, export, n):
    """The header fields of request n, as a dictionary."""
    if o.profile == "v1":
        return {"Authorization": ref.V1(export, o.key, o.id_bytes, o.hash).authorization(n)}
    if o.profile.startswith("compat-apikey"):
        key = ref.compat_apikey(export, o.key, o.id_bytes, o.profile.endswith("hmac"))
        return {"client": o.id, "apikey": base64.b64encode(key).decode()}
    hash_name, sign, seal = jwt_keys(o, export)
    mine = o.profile.startswith("v1")
    header = {"alg": "HS" + hash_name[4:], "kid": o.id} if mine else {"alg": "HS256"}
    token = jws(hash_name, sign, header, {"n": n, "sub": o.id} if mine else {"iss": "issuer", "sub": "subject"})
    if o.profile.endswith("jwe"):
        token = jwe(seal, {"alg": "dir", "cty": "JWT", "enc": "A256GCM", "kid": o.id if mine else "client_1",
                           "typ": "JWT"}, token)
    return {"Authorization": "Bearer " + token}


def check_jwt(o, export, token):
    """The claims of a token that is right, else ValueError."""
    hash_name, sign, seal = jwt_keys(o, export)
    if o.profile.endswith("jwe"):
        head, _, iv, sealed, tag = token.split(".")
        token = AESGCM(seal).decrypt(ref.un_b64url(iv), ref.un_b64url(sealed) + ref.un_b64url(tag),
                                     head.encode()).decode()
    head, claims, signature = token.split(".")
    wanted = ref.hmac_of(hash_name, sign, (head + "." + claims).encode())
    if not hmac.compare_digest(wanted, ref.un_b64url(signature)):
        raise ValueError("signature")
    if json.loads(ref.un_b64url(head))["alg"] != "HS" + hash_name[4:]:
        raise ValueError("alg")
    return json.loads(ref.un_b64url(claims))


def verify(o, export, headers, seen):
    """Authentication-Info of an accepted request ("" in the compat profiles); ValueError for a refusal."""
    if o.profile.startswith("compat-apikey"):
        wanted = credentials(o, export, 0)
        if not hmac.compare_digest(json.dumps(wanted), json.dumps({k: headers.get(k) for k in wanted})):
            raise ValueError("wrong proof")
        return ""
    scheme, _, rest = headers.get("authorization", "").partition(" ")
    if o.profile != "v1":
        claims = check_jwt(o, export, rest)
        if o.profile.startswith("compat"):
            return ""
        if claims["sub"] != o.id:
            raise ValueError("sub")
        n = claims["n"]
    else:
        found = dict(re.findall(r'([knpv]) *= *"?([A-Za-z0-9_-]+)"?', rest))
        v = ref.V1(export, o.key, o.id_bytes, o.hash)
        n = int(found["n"]) if scheme == "EKMOTP" and len(found) == 4 else 0
        if ref.un_b64url(found.get("v", "")) != v.check or ref.un_b64url(found.get("k", "")) != o.id_bytes:
            raise ValueError("another session or client")
        if not hmac.compare_digest(v.client_proof(n), ref.un_b64url(found["p"])):
            raise ValueError("wrong proof")
    if n in seen or n < 1:
        raise ValueError("replay")
    seen.add(n)
    return ref.V1(export, o.key, o.id_bytes, o.hash).authentication_info(n)


def read_message(connection):
    """One HTTP/1.1 message: first line, fields (lower case), body by Content-Length; None at the end."""
    data = b""
    while b"\r\n\r\n" not in data:
        try:
            data += connection.recv(4096)
        except (SSL.ZeroReturnError, SSL.SysCallError):
            return None
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = {}
    for line in lines:
        name, _, value = line.partition(":")
        fields[name.lower()] = value.strip()
    while len(body) < int(fields.get("content-length", "0")):
        body += connection.recv(4096)
    return first, fields, body


def die(words):
    sys.exit("%s: %s" % (os.path.basename(sys.argv[0]), words))

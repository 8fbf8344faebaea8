# SPDX-License-Identifier: Apache-2.0
"""The protocol, written from docs/protocol.md alone, with nothing but hmac and hashlib.

It shares no code with the C libraries: where the two agree, the document is right. It is a reference to
compare with, not an implementation to use (Python wipes no secrets).
"""
import base64
import hashlib
import hmac
import struct

HASHES = {"SHA-256": (4, hashlib.sha256), "SHA-384": (5, hashlib.sha384), "SHA-512": (6, hashlib.sha512)}
V1_LABEL = b"EXPERIMENTAL-ekmotp-v1"


def hmac_of(hash_name, key, message):
    return hmac.new(key, message, HASHES[hash_name][1]).digest()


def hash_size(hash_name):
    return HASHES[hash_name][1]().digest_size


def kdf_block(i, label, context, bits):
    """The message whose HMAC is block i of SP 800-108r1 counter mode."""
    return struct.pack(">I", i) + label + b"\0" + context + struct.pack(">I", bits)


def kdf(hash_name, key, label, context, bits):
    size = bits // 8
    out, i = b"", 0
    while len(out) < size:
        i += 1
        out += hmac_of(hash_name, key, kdf_block(i, label, context, bits))
    return out[:size]


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def un_b64url(text):
    if "=" in text:
        raise ValueError("padding")
    data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if b64url(data) != text:
        raise ValueError("not canonical")
    return data


def v1_context(hash_name, client_id):
    return b"\1" + bytes([HASHES[hash_name][0]]) + struct.pack(">H", len(client_id)) + client_id


class V1:
    """Profile v1 on one channel. export(label, context, length) is the channel's exporter."""

    def __init__(self, export, key, client_id, hash_name="SHA-256"):
        self.hash, self.id = hash_name, client_id
        size = hash_size(hash_name)
        self.exported = export(V1_LABEL, v1_context(hash_name, client_id), size + 16)
        self.ekm, self.check = self.exported[:size], self.exported[size:]
        self.secret = kdf(hash_name, key, b"ekmotp v1 channel", self.ekm, 8 * size)

    def client_proof(self, n):
        return kdf(self.hash, self.secret, b"ekmotp v1 client proof", struct.pack(">Q", n), 256)

    def server_proof(self, n):
        return kdf(self.hash, self.secret, b"ekmotp v1 server proof", struct.pack(">Q", n), 256)

    def jws_key(self):
        return kdf(self.hash, self.secret, b"ekmotp v1 jws", b"", 8 * hash_size(self.hash))

    def jwe_key(self):
        return kdf(self.hash, self.secret, b"ekmotp v1 jwe", b"", 256)

    def authorization(self, n):
        return "EKMOTP k=%s, n=%d, p=%s, v=%s" % (
            b64url(self.id), n, b64url(self.client_proof(n)), b64url(self.check))

    def authentication_info(self, n):
        return "p=" + b64url(self.server_proof(n))


def compat_apikey(export, key, client_id, plain_hmac=False):
    """The derived key of compat-apikey (or compat-apikey-hmac): 32 bytes."""
    ekm = export(b"EXPORTER-my_label", client_id, 32)
    message = ekm if plain_hmac else bytes(4) + ekm + struct.pack(">I", 256)
    return hmac_of("SHA-256", key, message)


def compat_jwt_key(export, key, purpose):
    """compat-jws and compat-jwe: purpose is b"sig_key" or b"enc_key"."""
    return hmac_of("SHA-256", key, export(b"EXPORTER-Channel-Binding", purpose, 32))


def hkdf_expand_label(hash_name, secret, label, context, length):
    """RFC 8446 section 7.1."""
    full = b"tls13 " + label
    info = struct.pack(">H", length) + bytes([len(full)]) + full + bytes([len(context)]) + context
    out, block, i = b"", b"", 0
    while len(out) < length:
        i += 1
        block = hmac_of(hash_name, secret, block + info + bytes([i]))
        out += block
    return out[:length]


def tls13_exporter(hash_name, exporter_master_secret):
    """RFC 8446 section 7.5, as an export(label, context, length)."""
    digest = HASHES[hash_name][1]

    def export(label, context, length):
        secret = hkdf_expand_label(
            hash_name, exporter_master_secret, label, digest(b"").digest(), digest().digest_size)
        return hkdf_expand_label(hash_name, secret, b"exporter", digest(context).digest(), length)
    return export


def tls12_exporter(hash_name, master_secret, client_random, server_random):
    """RFC 5705 section 4 on the PRF of RFC 5246 section 5."""
    def export(label, context, length):
        seed = label + client_random + server_random + struct.pack(">H", len(context)) + context
        out, a = b"", seed
        while len(out) < length:
            a = hmac_of(hash_name, master_secret, a)
            out += hmac_of(hash_name, master_secret, a + seed)
        return out[:length]
    return export

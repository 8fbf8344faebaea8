#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes docs/vectors/*.json: make_vectors.py FOLDER.

Everything comes from reference.py, which shares no code with the C libraries; tests/interop/vectors.c runs
the libraries over the files. The output is the same in every run.
"""
import base64
import json
import os
import sys

import reference as ref
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NOW = 1700000000
KEY = bytes(range(64))
TLS13 = {"version": "1.3", "hash": "SHA-256", "exporter_master_secret": bytes(range(0xa0, 0xc0)).hex()}
TLS13_384 = {"version": "1.3", "hash": "SHA-384", "exporter_master_secret": bytes(range(0x50, 0x80)).hex()}
TLS12 = {"version": "1.2", "hash": "SHA-256", "master_secret": bytes(range(0x10, 0x40)).hex(),
         "client_random": bytes(range(0xc0, 0xe0)).hex(), "server_random": bytes(range(0xe0, 0x100)).hex()}
OTHER = {"version": "1.3", "hash": "SHA-256", "exporter_master_secret": bytes(range(0x20, 0x40)).hex()}
DEMO_KEY = b"my_api_key"
DEMO_CLAIMS = '{"iss":"issuer","sub":"subject"}'
DEMO_JWE_HEADER = '{"alg":"dir","cty":"JWT","enc":"A256GCM","kid":"client_1","typ":"JWT"}'


class Recorder:
    """An exporter that remembers what was asked of it."""

    def __init__(self, tls):
        if tls["version"] == "1.3":
            self.inner = ref.tls13_exporter(tls["hash"], bytes.fromhex(tls["exporter_master_secret"]))
        else:
            self.inner = ref.tls12_exporter(tls["hash"], *(bytes.fromhex(tls[k]) for k in (
                "master_secret", "client_random", "server_random")))
        self.calls = []

    def __call__(self, label, context, length):
        value = self.inner(label, context, length)
        self.calls.append({"label": label.decode(), "context": context.hex(), "length": length,
                           "value": value.hex()})
        return value


def jws(hash_name, key, header, claims):
    head = ref.b64url(header.encode()) + "." + ref.b64url(claims.encode())
    return head + "." + ref.b64url(ref.hmac_of(hash_name, key, head.encode()))


def jwe(key, header, plain, iv=bytes(range(12))):
    head = ref.b64url(header.encode())
    sealed = AESGCM(key).encrypt(iv, plain.encode(), head.encode())
    return ".".join((head, "", ref.b64url(iv), ref.b64url(sealed[:-16]), ref.b64url(sealed[-16:])))


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def alg(hash_name):
    return "HS" + hash_name[4:]


def v1_jws(v, client_id, n, more=None, header=None):
    claims = {"n": n, "sub": client_id, **(more or {})}
    header = header or {"alg": alg(v.hash), "kid": client_id, "typ": "JWT"}
    return jws(v.hash, v.jws_key(), compact(header), compact(claims))


def v1_jwe(v, client_id, n, more=None, header=None, **args):
    header = header or {"alg": "dir", "cty": "JWT", "enc": "A256GCM", "kid": client_id, "typ": "JWT"}
    return jwe(v.jwe_key(), compact(header), v1_jws(v, client_id, n, more), **args)


def entry(client_id, key, hash_name="SHA-256", profiles=("v1",), **more):
    return {"id": client_id.hex(), "key": key.hex(), "hash": hash_name, "profiles": list(profiles), **more}


def v1_case(name, tls, hash_name="SHA-256", client_id=b"client1", key=KEY[:32], utf8=True):
    export = Recorder(tls)
    v = ref.V1(export, key, client_id, hash_name)
    requests = []
    for n in (1, 2, 65, 2**53 + 1, 2**64 - 1):
        requests.append({
            "n": str(n), "client_proof": v.client_proof(n).hex(), "server_proof": v.server_proof(n).hex(),
            "fields": [["Authorization", v.authorization(n)]],
            "authentication_info": v.authentication_info(n)})
    case = {"name": name, "profile": "v1", "tls": tls, "exports": export.calls,
            "client": entry(client_id, key, hash_name), "ekm": v.ekm.hex(), "check": v.check.hex(),
            "channel_secret": v.secret.hex(), "jws_key": v.jws_key().hex(), "jwe_key": v.jwe_key().hex(),
            "requests": requests}
    if utf8:
        text = client_id.decode()
        case["jws"] = {"claims": '{"scope":"read"}', "now": NOW, "n": "1",
                       "token": v1_jws(v, text, 1, {"iat": NOW, "scope": "read"})}
        case["jwe"] = {"claims": '{"scope":"read"}', "now": NOW, "n": "1",
                       "token": v1_jwe(v, text, 1, {"iat": NOW, "scope": "read"})}
    return case


def v1_cases():
    every_byte = bytes(range(1, 256))
    return [
        v1_case("SHA-256, TLS 1.3", TLS13),
        v1_case("SHA-384, TLS 1.3", TLS13, "SHA-384", key=KEY[:48]),
        v1_case("SHA-512, TLS 1.3", TLS13, "SHA-512", key=KEY),
        v1_case("SHA-256, TLS 1.3 with a SHA-384 suite", TLS13_384),
        v1_case("SHA-256, TLS 1.2", TLS12),
        v1_case("SHA-512, TLS 1.2", TLS12, "SHA-512", key=KEY),
        v1_case("the longest id, of every byte but zero", TLS13, client_id=every_byte, utf8=False),
        v1_case("the shortest id, a zero byte", TLS13, client_id=b"\0", utf8=False),
        v1_case("an id in UTF-8", TLS13, client_id="Zoë".encode()),
        v1_case("a key of 64 bytes under SHA-256", TLS13, key=KEY),
    ]


def compat_cases():
    cases = []
    for tls in (TLS13, TLS12):
        for profile in ("compat-apikey", "compat-apikey-hmac"):
            export = Recorder(tls)
            key = ref.compat_apikey(export, DEMO_KEY, b"client1", profile.endswith("hmac"))
            cases.append({
                "name": "%s, TLS %s" % (profile, tls["version"]), "profile": profile, "tls": tls,
                "exports": export.calls, "client": entry(b"client1", DEMO_KEY, profiles=[profile]),
                "channel_secret": key.hex(), "requests": [{"fields": [
                    ["client", "client1"], ["apikey", base64.b64encode(key).decode()]]}]})
        for profile in ("compat-jws", "compat-jwe"):
            export = Recorder(tls)
            sig = ref.compat_jwt_key(export, DEMO_KEY, b"sig_key")
            case = {"name": "%s, TLS %s" % (profile, tls["version"]), "profile": profile, "tls": tls,
                    "client": entry(b"client1", DEMO_KEY, profiles=[profile]), "jws_key": sig.hex()}
            token = jws("SHA-256", sig, '{"alg":"HS256"}', DEMO_CLAIMS)
            if profile == "compat-jwe":
                enc = ref.compat_jwt_key(export, DEMO_KEY, b"enc_key")
                case["jwe_key"] = enc.hex()
                case["jwe"] = {"now": 0, "token": jwe(enc, DEMO_JWE_HEADER, token)}
            else:
                case["jws"] = {"now": 0, "token": token}
            case["exports"] = export.calls
            cases.append(case)
    return cases


def flipped(text, at):
    """The text with the lowest bit that base64url shows of one character changed."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return text[:at] + alphabet[alphabet.index(text[at]) ^ 4] + text[at + 1:]


class Refused:
    def __init__(self):
        self.export = Recorder(TLS13)
        self.v = ref.V1(self.export, KEY[:32], b"client1")
        self.cases = []

    def add(self, name, reason, fields, **more):
        """fields is a list of (name, value), or the value of Authorization."""
        if isinstance(fields, str):
            fields = [["Authorization", fields]]
        self.cases.append({
            "name": name, "reason": reason, "offered": more.pop("offered", ["v1"]),
            "directory": more.pop("directory", [entry(b"client1", KEY[:32])]),
            "tls": more.pop("tls", TLS13), "exports": more.pop("exports", self.export.calls),
            "before": more.pop("before", []), "fields": [list(f) for f in fields], **more})

    def replays(self):
        a = self.v.authorization
        self.add("the same request twice", "replay", a(1), before=[a(1)])
        self.add("an older request that was taken", "replay", a(3), before=[a(n) for n in (3, 9)])
        self.add("63 behind the highest, and taken", "replay", a(1), before=[a(1), a(64)])
        self.add("64 behind the highest", "too-old", a(1), before=[a(65)])
        self.add("far behind the highest", "too-old", a(5), before=[a(2**64 - 1)])
        other = Recorder(OTHER)
        stolen = ref.V1(other, KEY[:32], b"client1")
        self.add("the proof of another connection", "other-session", stolen.authorization(1))
        self.add("the server's proof, sent back", "wrong-proof", a(1).replace(
            ref.b64url(self.v.client_proof(1)), ref.b64url(self.v.server_proof(1))))
        self.add("the proof of another n", "wrong-proof", a(1).replace("n=1", "n=2"))

    def keys(self):
        a, v = self.v.authorization, self.v
        wrong = ref.V1(Recorder(TLS13), KEY[32:], b"client1")
        nobody = Recorder(TLS13)
        stranger = ref.V1(nobody, KEY[:32], b"nobody")
        self.add("another key", "wrong-proof", wrong.authorization(1))
        self.add("an unknown client", "unknown-client", stranger.authorization(1), exports=nobody.calls)
        self.add("a disabled client", "disabled", a(1),
                 directory=[entry(b"client1", KEY[:32], disabled=True)])
        self.add("a client that may not use the profile", "profile", a(1),
                 directory=[entry(b"client1", KEY[:32], profiles=["compat-apikey"])])
        self.add("a profile that is not offered", "profile", a(1), offered=["compat-apikey"])
        self.add("a key that is not valid yet", "key-not-yet-valid", a(1), now=NOW,
                 directory=[entry(b"client1", KEY[:32], not_before=NOW + 1)])
        self.add("a key that is no longer valid", "key-expired", a(1), now=NOW,
                 directory=[entry(b"client1", KEY[:32], not_after=NOW - 1)])
        longer = Recorder(TLS13)
        ref.V1(longer, KEY[:32], b"client1", "SHA-384")
        self.add("the wrong hash", "other-session", a(1), exports=longer.calls,
                 directory=[entry(b"client1", KEY[:32], "SHA-384")])
        short = ref.V1(Recorder(TLS13), DEMO_KEY, b"client1")
        self.add("a key of 10 bytes in v1", "profile", short.authorization(1),
                 directory=[entry(b"client1", DEMO_KEY)])
        both = Recorder(TLS13)
        second = ref.V1(both, KEY[:32], b"client2")
        both.calls = self.export.calls + both.calls
        self.add("a second client on the channel", "other-client", second.authorization(2),
                 before=[a(1)], exports=both.calls,
                 directory=[entry(b"client1", KEY[:32]), entry(b"client2", KEY[:32])])
        for at, part in ((0, "first"), (41, "last but one")):
            proof = ref.b64url(v.client_proof(1))
            self.add("one bit of the proof flipped, %s character" % part, "wrong-proof",
                     a(1).replace(proof, flipped(proof, at)))
        check = ref.b64url(v.check)
        self.add("one bit of the check value flipped", "other-session",
                 a(1).replace(check, flipped(check, 3)))

    def malformed(self):
        good = self.v.authorization(1)
        k, n, p, v = good[len("EKMOTP "):].split(", ")
        for name, value in [
                ("no parameters", "EKMOTP "),
                ("scheme alone", "EKMOTP"),
                ("another scheme", "Basic Y2xpZW50MTpwYXNz"),
                ("k missing", "EKMOTP " + ", ".join((n, p, v))),
                ("n missing", "EKMOTP " + ", ".join((k, p, v))),
                ("p missing", "EKMOTP " + ", ".join((k, n, v))),
                ("v missing", "EKMOTP " + ", ".join((k, n, p))),
                ("k twice", good + ", " + k),
                ("p twice", good + ", " + p),
                ("an unknown parameter", good + ", x=1"),
                ("no comma", "EKMOTP " + " ".join((k, n, p, v))),
                ("n of zero", good.replace("n=1", "n=0")),
                ("n with a leading zero", good.replace("n=1", "n=01")),
                ("n with a sign", good.replace("n=1", "n=+1")),
                ("n negative", good.replace("n=1", "n=-1")),
                ("n hexadecimal", good.replace("n=1", "n=0x1")),
                ("n of 2^64", good.replace("n=1", "n=18446744073709551616")),
                ("n empty", good.replace("n=1", 'n=""')),
                ("k empty", good.replace(k, 'k=""')),
                ("k of 256 bytes", good.replace(k, "k=" + ref.b64url(b"x" * 256))),
                ("k padded", good.replace(k, 'k="Y2xpZW50MQ=="')),
                ("k with bits that mean nothing", good.replace(k, "k=Y2xpZW50MR")),
                ("p of 31 bytes", good.replace(p, "p=" + ref.b64url(self.v.client_proof(1)[:31]))),
                ("p of 33 bytes", good.replace(p, "p=" + ref.b64url(self.v.client_proof(1) + b"\0"))),
                ("p in standard base64", good.replace(p, 'p="%s"' % base64.b64encode(
                    self.v.client_proof(1)).decode())),
                ("p with a space inside", good.replace(p, 'p="%s %s"' % (p[2:10], p[10:]))),
                ("v of 15 bytes", good.replace(v, "v=" + ref.b64url(self.v.check[:15]))),
                ("v of 17 bytes", good.replace(v, "v=" + ref.b64url(self.v.check + b"\0"))),
                ("a quoted string that does not end", good.replace("n=1", 'n="1')),
                ("bytes after the last value", good + ' "'),
        ]:
            self.add(name, "malformed", value)
        self.add("no credentials", "no-credentials", [])
        self.add("two Authorization fields", "duplicate-field",
                 [["Authorization", good], ["authorization", good]])
        self.add("Authorization beside apikey", "malformed", [["Authorization", good], ["apikey", "AAAA"]])

    def tokens(self):
        v, one = self.v, v1_jws(self.v, "client1", 1)

        def bearer(name, reason, token, **more):
            self.add(name, reason, "Bearer " + token, now=NOW, **more)

        def header(**changes):
            base = {"alg": "HS256", "kid": "client1", "typ": "JWT"}
            base.update(changes)
            return v1_jws(v, "client1", 1, header=base)

        bearer("JWS: the same n twice", "replay", one, before=["Bearer " + one])
        bearer("JWS: n that the header carrier used", "replay", one, before=[v.authorization(1)])
        signature = one.rsplit(".", 1)[1]
        bearer("JWS: one bit of the signature flipped", "wrong-proof", one[:-43] + flipped(signature, 5))
        bearer("JWS: alg none", "malformed", ref.b64url(b'{"alg":"none","kid":"client1"}') + "." +
               one.split(".")[1] + ".")
        bearer("JWS: another alg", "malformed", header(alg="HS512"))
        bearer("JWS: crit", "malformed", header(crit=["exp"]))
        bearer("JWS: jku", "malformed", header(jku="https://localhost/keys"))
        bearer("JWS: no kid", "profile", v1_jws(v, "client1", 1, header={"alg": "HS256"}))
        bearer("JWS: sub of another client", "claims", v1_jws(v, "client2", 1, header={
            "alg": "HS256", "kid": "client1"}))
        bearer("JWS: expired", "claims", v1_jws(v, "client1", 1, {"exp": NOW - 3600}))
        bearer("JWS: not yet valid", "claims", v1_jws(v, "client1", 1, {"nbf": NOW + 3600}))
        bearer("JWS: issued in the future", "claims", v1_jws(v, "client1", 1, {"iat": NOW + 3600}))
        bearer("JWS: exp is text", "claims", v1_jws(v, "client1", 1, {"exp": "tomorrow"}))
        bearer("JWS: n of zero", "malformed", v1_jws(v, "client1", 0))
        bearer("JWS: n is text", "malformed", v1_jws(v, "client1", "1"))
        doubled = '{"n":1,"n":2,"sub":"client1"}'
        bearer("JWS: a claim twice", "malformed", jws("SHA-256", v.jws_key(), compact(
            {"alg": "HS256", "kid": "client1"}), doubled))
        bearer("JWS: signed with the JWE key", "wrong-proof", jws(
            "SHA-256", v.jwe_key(), compact({"alg": "HS256", "kid": "client1"}), compact(
                {"n": 1, "sub": "client1"})))
        bearer("JWS: four parts", "malformed", one + ".AAAA")
        nested = v1_jwe(v, "client1", 1)
        parts = nested.split(".")
        bearer("JWE: one bit of the ciphertext flipped", "wrong-proof", ".".join(
            parts[:3] + [flipped(parts[3], 7)] + parts[4:]))
        bearer("JWE: one bit of the tag flipped", "wrong-proof", ".".join(parts[:4] + [flipped(parts[4], 7)]))
        bearer("JWE: zip", "malformed", v1_jwe(v, "client1", 1, header={
            "alg": "dir", "cty": "JWT", "enc": "A256GCM", "kid": "client1", "zip": "DEF"}))
        bearer("JWE: another enc", "malformed", v1_jwe(v, "client1", 1, header={
            "alg": "dir", "cty": "JWT", "enc": "A128GCM", "kid": "client1"}))
        bearer("JWE: an encrypted key", "malformed", ".".join([parts[0], "AAAA"] + parts[2:]))
        twice = jwe(v.jwe_key(), compact({"alg": "dir", "cty": "JWT", "enc": "A256GCM", "kid": "client1"}), nested)
        bearer("JWE: in a JWE", "malformed", twice)
        stolen = ref.V1(Recorder(OTHER), KEY[:32], b"client1")
        bearer("JWS of another connection", "wrong-proof", v1_jws(stolen, "client1", 1))
        bearer("JWE of another connection", "wrong-proof", v1_jwe(stolen, "client1", 1))

    def compat(self):
        export = Recorder(TLS13)
        key = base64.b64encode(ref.compat_apikey(export, DEMO_KEY, b"client1")).decode()
        other = base64.b64encode(ref.compat_apikey(Recorder(OTHER), DEMO_KEY, b"client1")).decode()
        both = ["compat-apikey", "compat-apikey-hmac"]

        def apikey(name, reason, fields, offered=("compat-apikey",), allowed=both):
            self.add("apikey: " + name, reason, fields, offered=list(offered), exports=export.calls,
                     directory=[entry(b"client1", DEMO_KEY, profiles=allowed)])

        client = ["client", "client1"]
        apikey("of another connection", "wrong-proof", [client, ["apikey", other]])
        apikey("one bit flipped", "wrong-proof", [client, ["apikey", flipped(key, 6)]])
        apikey("of the other variant", "wrong-proof", [client, ["apikey", key]], ["compat-apikey-hmac"])
        apikey("not offered", "profile", [client, ["apikey", key]], ["v1"])
        apikey("not allowed for the client", "profile", [client, ["apikey", key]], allowed=["v1"])
        apikey("without client", "malformed", [["apikey", key]])
        apikey("client empty", "malformed", [["client", ""], ["apikey", key]])
        apikey("client twice", "duplicate-field", [client, client, ["apikey", key]])
        apikey("twice", "duplicate-field", [client, ["apikey", key], ["apikey", key]])
        apikey("not padded", "malformed", [client, ["apikey", key.rstrip("=")]])
        apikey("base64url", "malformed", [client, ["apikey", "-" + key[1:]]])
        apikey("empty", "malformed", [client, ["apikey", ""]])
        apikey("client alone", "no-credentials", [client])

    def all(self):
        self.replays()
        self.keys()
        self.malformed()
        self.tokens()
        self.compat()
        return self.cases


def main():
    for name, about, cases in (
            ("v1", "Profile v1: both carriers, every hash. n is text, since JSON numbers end at 2^53.", v1_cases()),
            ("compat", "The compatibility profiles; the key is the Go demo's.", compat_cases()),
            ("refused", "What a server refuses, and the reason that it logs. The requests of \"before\" "
                        "come first on the same channel and are accepted.", Refused().all())):
        with open(os.path.join(sys.argv[1], name + ".json"), "w", encoding="utf-8") as out:
            json.dump({"about": about, "cases": cases}, out, indent=1, ensure_ascii=False)
            out.write("\n")


main()

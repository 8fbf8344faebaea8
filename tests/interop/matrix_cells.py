# SPDX-License-Identifier: Apache-2.0
"""Which cells the interop matrix has: its axes, what cannot be, whole blocks, and all pairs.

A cell is (client, server, tls, token, profile, hash); its name has slashes between. A value of the axis tls
is a version and what is special about the connection, as in 1.3-resumed.
"""
import random
from collections import Counter
from itertools import combinations, product

AXES = ("client", "server", "tls", "token", "profile", "hash")
OURS = ("ekmotp", "ekmotp-http2", "ekmotp-openssl", "openssl")
CLIENTS = OURS + ("node", "python", "go", "nss", "wolfssl")
SERVERS = ("ekmotpd", "gnutls", "node", "python", "go")
SPECIAL = ("", "-resumed", "-aes128", "-aes256", "-chacha20", "-rsa", "-ed25519")
TLS = (tuple("1.3" + s for s in SPECIAL + ("-hrr", "-keyupdate", "-early-data", "-pq")) +
       tuple("1.2" + s for s in SPECIAL + ("-no-ems",)))
TOKENS = ("file", "softhsm", "tpm", "nss", "opencryptoki", "remote")
V1 = ("v1", "v1-jws", "v1-jwe")
PROFILES = V1 + ("compat-apikey", "compat-apikey-hmac", "compat-jws", "compat-jwe")
HASHES = ("SHA-256", "SHA-384", "SHA-512")
VALUES = (CLIENTS, SERVERS, TLS, TOKENS, PROFILES, HASHES)
FILE_V1 = ("file", "v1", "SHA-256")

ASK_FOR_KEYS = {"client": ("openssl", "nss", "wolfssl"), "server": ("gnutls",)}


def tls_reasons(client, server, tls):
    """Why this client and this server, whatever their versions, cannot meet like that; nothing: they can."""
    version, _, special = tls.partition("-")
    if client == "ekmotp-http2" and server not in ("node", "go"):
        yield "this server speaks HTTP/1.1 only"
    if special == "resumed" and client.startswith("ekmotp"):
        yield "ekmotp resumes no session, so that none can carry early data"
    if special == "keyupdate" and client not in ASK_FOR_KEYS["client"] and server not in ASK_FOR_KEYS["server"]:
        yield "neither end can ask for new traffic keys"
    if special == "early-data" and client not in OURS:
        yield {"node": "Node sends no early data", "python": "pyOpenSSL sends no early data",
                "go": "crypto/tls sends no early data", "nss": "the NSS client sends no early data",
                "wolfssl": "Debian's wolfSSL is built without early data"}[client]
    if special == "no-ems" and client not in OURS and server not in ("ekmotpd", "gnutls"):
        yield "neither end is ours: nobody has to refuse"
    if client == server == "go" and version == "1.3" and special in ("aes256", "chacha20"):
        yield "crypto/tls chooses the cipher suite of TLS 1.3 itself"
    if client == "nss" and special == "ed25519":
        yield "NSS has no Ed25519 certificates in TLS"
    if client == "nss" and tls == "1.2-aes256":
        yield "NSS's exporter of TLS 1.2 fails with SHA-384 suites (its bug 1312976)"


def key_reasons(client, token, profile, hash_name):
    """The same of who holds which key, and what is made with it."""
    if token != "file" and not client.startswith("ekmotp"):
        yield "of the clients here, only ekmotp uses PKCS#11 tokens"
    if profile not in V1 and hash_name != "SHA-256":
        yield "the compat profiles are SHA-256"
    if client in ("nss", "wolfssl") and profile != "v1":
        yield "the %s client speaks the header carrier of v1" % client


def reasons(cell):
    return [*tls_reasons(*cell[:3]), *key_reasons(cell[0], *cell[3:])]


def cannot(cell):
    """The first reason why there can be no such cell; None: there can."""
    return next(iter(reasons(cell)), None)


def pairs_of(cell):
    return combinations(enumerate(cell), 2)


def feasible_pairs():
    """The pairs of values that some possible cell has, and why each other pair is impossible."""
    meetings = [m for m in product(CLIENTS, SERVERS, TLS) if not any(tls_reasons(*m))]
    keys = [k for k in product(CLIENTS, TOKENS, PROFILES, HASHES) if not any(key_reasons(*k))]
    found = set()
    for client in CLIENTS:
        here = [m for m in meetings if m[0] == client]
        mine = [k for k in keys if k[0] == client]
        for m in here:
            found.update(combinations(enumerate(m), 2))
        for k in mine:
            found.update(combinations(((0, client), *enumerate(k[1:], 3)), 2))
        left = {(i, m[i]) for m in here for i in (1, 2)}
        right = {(i, k[i - 2]) for k in mine for i in (3, 4, 5)}
        found.update(product(left, right))
    return found


def every_pair():
    for i, j in combinations(range(len(AXES)), 2):
        for a, b in product(VALUES[i], VALUES[j]):
            yield ((i, a), (j, b))


def why_impossible(pair):
    """A few reasons of which each cell that would have the pair meets one."""
    fixed = dict(pair)
    against = [set(reasons(cell)) for cell in product(*([fixed[i]] if i in fixed else VALUES[i] for i in range(6)))]
    found = []
    while against:
        count = Counter(reason for some in against for reason in some)
        found.append(min(count, key=lambda reason: (-count[reason], reason)))
        against = [some for some in against if found[-1] not in some]
    return found


def blocks():
    """Whole blocks: client x server x TLS; token x profile x hash."""
    cells = [m + FILE_V1 for m in product(CLIENTS, SERVERS, TLS)]
    cells += [("ekmotp", "ekmotpd", "1.3") + k for k in product(TOKENS, PROFILES, HASHES)
              if not any(key_reasons("ekmotp", *k)) and k != FILE_V1]
    return cells


def all_cells():
    """The blocks, and cells for every possible pair that the blocks do not have."""
    cells = blocks()
    left = feasible_pairs()
    for cell in cells:
        if not cannot(cell):
            left.difference_update(pairs_of(cell))
    chance = random.Random(1)  # the same cells in each run
    while left:
        fixed = dict(min(left))
        best, most = None, 0
        for _ in range(400):
            cell = tuple(fixed.get(i) or chance.choice(VALUES[i]) for i in range(len(AXES)))
            new = 0 if cannot(cell) else len(left.intersection(pairs_of(cell)))
            if new > most:
                best, most = cell, new
        if best:
            cells.append(best)
            left.difference_update(pairs_of(best))
    return cells


def uncovered(cells):
    """The possible pairs that none of the cells has: there must be none."""
    left = feasible_pairs()
    for cell in cells:
        if not cannot(cell):
            left.difference_update(pairs_of(cell))
    return sorted(left)


def quick_cells():
    """What make check runs: each stack against ours in both versions, each profile and hash once."""
    cells = [(c, s, t) + FILE_V1 for c, s, t in product(CLIENTS, SERVERS, ("1.3", "1.2"))
             if (c == "ekmotp" or s == "ekmotpd" or (c, s) == ("openssl", "gnutls")) and not any(tls_reasons(c, s, t))]
    for c, s in (("node", "ekmotpd"), ("ekmotp", "node")):
        cells += [(c, s, "1.3", "file", p, "SHA-256") for p in PROFILES[1:]]
        cells += [(c, s, "1.3", "file", "v1", h) for h in HASHES[1:]]
    cells += [("openssl", "ekmotpd", t) + FILE_V1 for t in ("1.3-resumed", "1.3-keyupdate", "1.3-early-data", "1.3-hrr",
                                                           "1.2-resumed", "1.2-no-ems")]
    return cells

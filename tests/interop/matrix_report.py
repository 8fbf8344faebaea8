# SPDX-License-Identifier: Apache-2.0
"""What the interop matrix shows: its cells as tables, and docs/interop.md made of runs."""
import os
import re
from itertools import combinations

import matrix_cells
from matrix_cells import AXES, HASHES, PROFILES, TLS, TOKENS, blocks
from matrix_stacks import output

SPECIAL = {"": "full", "resumed": "resumed", "aes128": "AES-128-GCM", "aes256": "AES-256-GCM",
           "chacha20": "ChaCha20", "rsa": "RSA", "ed25519": "Ed25519", "hrr": "second hello",
           "keyupdate": "new keys", "early-data": "early data refused", "pq": "post-quantum",
           "no-ems": "no EMS refused"}


def versions():
    curl = output("curl", "--version").splitlines()
    return [(what, text or "not here") for what, text in (
        ("system", output("sh", "-c", ". /etc/os-release; echo $PRETTY_NAME")),
        ("GnuTLS", output("pkg-config", "--modversion", "gnutls")),
        ("OpenSSL", output("openssl", "version").partition(" (")[0].replace("OpenSSL ", "")),
        ("libcurl", curl[0].split()[1] if curl else ""),
        ("Node", output("node", "-p", "process.version + ', OpenSSL ' + process.versions.openssl")),
        ("Python", output("/usr/bin/python3", "-c", "import sys, OpenSSL; print(sys.version.split()[0] + ', pyOpenSSL', "
                          "OpenSSL.__version__)")),
        ("Go", output("go", "version").replace("go version go", "")),
        ("NSS", output("pkg-config", "--modversion", "nss")),
        ("wolfSSL", output("pkg-config", "--modversion", "wolfssl")),
        ("SoftHSM", output("softhsm2-util", "--version")),
        ("tpm2-pkcs11", output("dpkg-query", "-W", "-f=${Version}", "libtpm2-pkcs11-1")),
        ("opencryptoki", output("dpkg-query", "-W", "-f=${Version}", "opencryptoki")))]


def tables(cells):
    """(title, rows, columns, {(row, column): cell}) of the blocks, then the rest as one column."""
    whole = {"/".join(c) for c in blocks()}
    found = {"1.3": {}, "1.2": {}, "tokens": {}, "rest": {}}
    for cell in cells:
        client, server, tls, token, profile, hash_name = cell.cell
        version, _, special = tls.partition("-")
        key = "%s, %s" % (profile, hash_name)
        if cell.name not in whole:
            found["rest"]["%s to %s" % (client, server), "TLS %s, %s, %s" % (
                " ".join((version, SPECIAL[special] if special else "")).strip(), token, key)] = cell
            continue
        if (client, server, tls) == ("ekmotp", "ekmotpd", "1.3"):
            found["tokens"][token, key] = cell
        if (token, profile, hash_name) == matrix_cells.FILE_V1:
            found[version]["%s to %s" % (client, server), SPECIAL[special]] = cell
    titles = {"1.3": "TLS 1.3: every client to every server", "1.2": "TLS 1.2: every client to every server",
              "tokens": "Tokens: every token with every profile, ekmotp to ekmotpd, TLS 1.3"}
    columns = {v: [SPECIAL[t.partition("-")[2]] for t in TLS if t.startswith(v)] for v in ("1.3", "1.2")}
    columns["tokens"] = ["%s, %s" % (p, h) for p in PROFILES for h in HASHES]
    for name, title in titles.items():
        rows = list(dict.fromkeys(r for r, _ in found[name]))
        if rows:
            yield (title, sorted(rows, key=TOKENS.index) if name == "tokens" else rows,
                   [k for k in columns[name] if any((r, k) in found[name] for r in rows)], found[name])
    yield ("The other cells, which cover every possible pair", [], [], found["rest"])


def grouped(pairs):
    """The pairs as "a, b with c, d" lines."""
    partners, lines = {}, {}
    for (i, first), (j, second) in pairs:
        partners.setdefault((i, j, first), []).append(second)
    for (i, j, first), seconds in partners.items():
        lines.setdefault((i, j, *seconds), []).append(first)
    return ["%s with %s" % (", ".join(firsts), ", ".join(key[2:])) for key, firsts in lines.items()]


def impossible():
    """[(reasons, lines)] of the pairs that no cell can have."""
    feasible, groups = matrix_cells.feasible_pairs(), {}
    for pair in matrix_cells.every_pair():
        if pair not in feasible:
            groups.setdefault(tuple(matrix_cells.why_impossible(pair)), []).append(pair)
    return [(reasons, grouped(pairs)) for reasons, pairs in sorted(groups.items())]


class Reasons:
    """Numbers for the reasons of grey cells."""

    def __init__(self):
        self.numbers = {}

    def number(self, reason):
        return self.numbers.setdefault(reason, len(self.numbers) + 1)


def coverage(cells):
    """How many possible pairs a green cell has, and the pairs that only grey cells have."""
    feasible = matrix_cells.feasible_pairs()
    green = {pair for c in cells if c.state == "green" for pair in combinations(enumerate(c.cell), 2)}
    return len(feasible), sorted(feasible - green)


INTRODUCTION = """# The interop matrix

Written by `./dev matrix --markdown FILE`; `./dev matrix CELL` repeats one cell. A cell is one client, server, kind
of TLS connection, token, profile and hash. "yes" stands for a whole conversation over a real connection:

- requests that must be accepted are, and in v1 the server's proof is right;
- their negative twins are refused: one bit of the proof changed (by `ekmotp`, which sends no wrong proof: the
  proof of a key that differs), the same proof again (v1), the same proof on a second connection (not from
  `ekmotp` to `ekmotpd`: there nobody sees the proof);
- what was negotiated was read from the hellos on the wire: version, cipher suite, second hello, resumption, group,
  extended master secret;
- "resumed": the second connection resumes the first one's session and exports another value;
- "second hello": a HelloRetryRequest; "post-quantum": X25519MLKEM768, the only group that the server takes;
- "new keys": KeyUpdate, asked for by the client where its library can, else by the server;
- "refused" in a column's name: it is what "yes" means there. Early data is sent by the OpenSSL client though the
  ticket forbids it, and taken by the GnuTLS server, whose verifier refuses; `ekmotp` never offers any.

`ekmotp` is the program on libcurl's GnuTLS flavour, three requests on one HTTP/1.1 connection; `ekmotp-http2` the same
on HTTP/2, side by side; `ekmotp-openssl` is built on libcurl's OpenSSL flavour; `openssl` and `gnutls` are programs of
a few lines on the public libraries' adapters. The others are written from protocol.md alone. "-" did not run, for
the numbered reason below; it is never counted as passed.
"""


def section(cells, about):
    """What a run on this system has shown."""
    mark = {"green": "yes", "red": "**NO**"}
    reasons = Reasons()
    count = {state: sum(c.state == state for c in cells) for state in ("green", "red", "grey")}
    out = ["## On %s" % dict(about)["system"],
           "\n%d cells passed, %d failed, %d did not run. %s." % (count["green"], count["red"], count["grey"], ", ".join(
               "%s %s" % item for item in about[1:]))]
    for title, rows, columns, found in tables(cells):
        out.append("\n### %s\n" % title)
        if not rows:
            states = [c.state for c in found.values()]
            out.append("%d cells: %d passed, %d failed, %d did not run; `./dev matrix --list` names them." % (
                len(states), states.count("green"), states.count("red"), states.count("grey")))
            out += ["- **NO**: %s" % c.name for c in found.values() if c.state == "red"]
            continue
        out.append("| |%s|\n|---|%s" % ("|".join(columns), "---|" * len(columns)))
        for row in rows:
            shown = (found.get((row, k)) for k in columns)
            out.append("| %s | %s |" % (row, " | ".join(
                "" if not c else mark.get(c.state) or "- %d" % reasons.number(c.reason) for c in shown)))
    for c in cells:
        if c.state == "grey":
            reasons.number(c.reason)
    if reasons.numbers:
        out.append("\n### Why cells did not run\n")
        out += ["%d. %s" % (number, reason) for reason, number in reasons.numbers.items()]
    possible, grey = coverage(cells)
    out.append("\nOf the %d pairs of values that are possible, %d are in a cell that passed%s." % (
        possible, possible - len(grey), ", %d in grey cells only" % len(grey) if grey else ""))
    return "\n".join(out) + "\n"


def write_markdown(path, cells, about):
    """Writes this system's section into the page; those of other systems stay as they are."""
    sections = {}
    if os.path.exists(path):
        with open(path, encoding="utf-8") as old:
            for text in re.split(r"^(?=## )", old.read(), flags=re.M)[1:]:
                sections[text.partition("\n")[0]] = text.rstrip() + "\n"
    new = section(cells, about)
    sections[new.partition("\n")[0]] = new
    with open(path, "w", encoding="utf-8") as out:
        out.write(INTRODUCTION)
        out.writelines("\n" + sections[title] for title in sorted(sections) if title.startswith("## On "))
        out.write("\n## Pairs that no cell can have\n\nEvery run computes the pairs of values that some possible cell "
                  "has, and fails where no cell of the\nmatrix has one of them (tests/interop/matrix_cells.py). These "
                  "pairs are impossible:\n\n")
        out.writelines("- %s: %s.\n" % ("; ".join(lines), " / ".join(reasons)) for reasons, lines in impossible())

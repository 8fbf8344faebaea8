# SPDX-License-Identifier: Apache-2.0
"""What the interop matrix shows: its cells as Markdown and as a page for a browser."""
import html
import subprocess


def versions():
    found = []
    for what, command in (
            ("system", ["sh", "-c", ". /etc/os-release; echo $PRETTY_NAME"]),
            ("GnuTLS", ["pkg-config", "--modversion", "gnutls"]),
            ("OpenSSL", ["openssl", "version"]),
            ("libcurl", ["pkg-config", "--modversion", "libcurl"]),
            ("Node", ["node", "-p", "process.version + ', OpenSSL ' + process.versions.openssl"]),
            ("Python", ["/usr/bin/python3", "-c", "import sys, OpenSSL; print(sys.version.split()[0], "
                        "'pyOpenSSL', OpenSSL.__version__, OpenSSL.SSL.SSLeay_version(0).decode())"]),
            ("Go", ["go", "version"]),
            ("NSS", ["pkg-config", "--modversion", "nss"]), ("wolfSSL", ["pkg-config", "--modversion", "wolfssl"])):
        try:
            out = subprocess.run(command, capture_output=True, text=True, timeout=30)
            found.append((what, out.stdout.strip() if out.returncode == 0 else "not here"))
        except OSError:
            found.append((what, "not here"))
    return found


def tables(cells):
    """Blocks of (title, row names, column names, cell by (row, column))."""
    blocks = {}
    for c in cells:
        row = "%s to %s" % (c.client + (" (%s)" % c.token if c.token else ""), c.server)
        title = "TLS %s, %s certificate" % (c.tls + (", X25519MLKEM768" if c.pq else ""), {"ec": "ECDSA", "rsa": "RSA", "ed25519": "Ed25519"}[c.kind])
        blocks.setdefault(title, {})[(row, "%s %s" % (c.profile, c.hash))] = c
    for title, found in blocks.items():
        yield (title, list(dict.fromkeys(r for r, _ in found)), list(dict.fromkeys(k for _, k in found)), found)


def write_markdown(path, cells, about):
    mark = {"green": "yes", "red": "**NO**", "grey": "-"}
    with open(path, "w", encoding="utf-8") as out:
        out.write("# The interop matrix\n\nWritten by `./dev matrix`; `./dev matrix CELL` repeats one cell. Each \"yes\" "
                  "stands for requests that were\naccepted and for their negative twins: one bit of the proof changed, "
                  "the same proof again, the same proof on\na second connection, each refused. \"-\" did not run; the "
                  "reasons are below.\n\n")
        out.writelines("- %s: %s\n" % item for item in about)
        for title, rows, columns, found in tables(cells):
            out.write("\n## %s\n\n| |%s|\n|---|%s\n" % (title, "|".join(columns), "---|" * len(columns)))
            for row in rows:
                marks = (mark[found[row, k].state] if (row, k) in found else "" for k in columns)
                out.write("| %s | %s |\n" % (row, " | ".join(marks)))
        reasons = sorted({c.reason for c in cells if c.state == "grey"})
        if reasons:
            out.write("\nDid not run: %s.\n" % "; ".join(reasons))


def write_html(path, cells, about):
    style = ("body{font:15px/1.5 sans-serif;margin:2em auto;max-width:75em;padding:0 1em}table{border-collapse:collapse}"
             "td,th{border:1px solid #ccc;padding:.3em .6em;text-align:left;vertical-align:top}.green{background:#d4f4d4}"
             ".red{background:#f8c8c8}.grey{background:#e4e4e4}pre{white-space:pre-wrap;max-width:60em;font-size:12px}"
             "summary{cursor:pointer}")
    with open(path, "w", encoding="utf-8") as out:
        out.write("<!DOCTYPE html><html lang=en><meta charset=utf-8><title>ekmotp interop</title><style>%s</style>"
                  "<h1>ekmotp: the interop matrix</h1><ul>%s</ul>" % (style, "".join(
                      "<li>%s: %s" % tuple(map(html.escape, item)) for item in about)))
        for title, rows, columns, found in tables(cells):
            out.write("<h2>%s</h2><table><tr><th>%s</tr>" % (html.escape(title), "".join(
                "<th>" + html.escape(k) for k in columns)))
            for row in rows:
                out.write("<tr><th>" + html.escape(row))
                for k in columns:
                    c = found.get((row, k))
                    if not c:
                        out.write("<td>")
                        continue
                    word = {"green": "yes", "red": "NO", "grey": "not run"}[c.state]
                    out.write("<td class=%s><details><summary>%s</summary>%s<pre>./dev matrix %s\n\n%s</pre></details>" % (
                        c.state, word, html.escape(c.reason), html.escape(c.name), html.escape("\n".join(c.log))))
                out.write("</tr>")
            out.write("</table>")
        out.write("</html>\n")

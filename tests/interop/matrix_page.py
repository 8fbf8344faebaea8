# SPDX-License-Identifier: Apache-2.0
"""The interop matrix as one self-contained page for a browser: a click on a cell shows its command and its log."""
import html

from matrix_report import coverage, tables

STYLE = """
:root { color-scheme: light dark; --text: #1c1c1c; --back: #fff; --line: #c8ccd0; --head: #f2f4f6;
  --green: #cdeccd; --red: #f3b4b4; --grey: #e2e2e2; }
@media (prefers-color-scheme: dark) { :root { --text: #e4e4e4; --back: #16181a; --line: #444a50; --head: #22262a;
  --green: #1d4d2b; --red: #7c2626; --grey: #33373b; } }
body { font: 15px/1.45 system-ui, sans-serif; color: var(--text); background: var(--back); margin: 0 auto;
  padding: 1em; max-width: 100em; }
h1 { margin: .3em 0; } h2 { margin: 1.6em 0 .5em; font-size: 1.15em; }
.wide { overflow: auto; max-height: 90vh; border: 1px solid var(--line); width: fit-content; max-width: 100%; }
table { border-collapse: separate; border-spacing: 0; font-size: 13px; }
th, td { border-right: 1px solid var(--line); border-bottom: 1px solid var(--line); text-align: left; padding: .2em .5em; }
thead th { position: sticky; top: 0; background: var(--head); vertical-align: bottom; z-index: 1; max-width: 7em; }
tbody th { position: sticky; left: 0; background: var(--head); font-weight: normal; white-space: nowrap; }
td.cell { padding: 0; } button { font: inherit; color: inherit; border: 0; width: 100%; padding: .25em .5em;
  cursor: pointer; text-align: left; background: var(--grey); white-space: nowrap; }
button.green { background: var(--green); } button.red { background: var(--red); font-weight: bold; }
button:hover, button:focus-visible { outline: 2px solid var(--text); outline-offset: -2px; }
.rest { display: grid; grid-template-columns: repeat(auto-fill, minmax(21em, 1fr)); gap: 3px; font-size: 12px; }
.rest button { overflow: hidden; text-overflow: ellipsis; }
.count { display: inline-block; padding: .1em .6em; margin-right: .4em; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 1em; margin: .5em 0; } dd { margin: 0; }
dialog { width: min(70em, 92vw); max-height: 88vh; border: 1px solid var(--line); color: var(--text);
  background: var(--back); } dialog::backdrop { background: #0008; }
dialog form { float: right; } dialog form button { width: auto; background: var(--grey); padding: .3em .9em; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font-size: 12px; }
"""

SCRIPT = """
const box = document.querySelector('dialog');
document.addEventListener('click', (event) => {
    const button = event.target.closest('button[data-cell]');
    if (!button) { if (event.target === box) box.close(); return; }
    const log = document.getElementById('log-' + button.dataset.cell);
    box.querySelector('h3').textContent = log.dataset.name;
    box.querySelector('p').textContent = log.dataset.reason;
    box.querySelector('pre').textContent = './dev matrix ' + log.dataset.name + '\\n\\n' + log.textContent;
    box.showModal();
    box.scrollTop = 0;
});
"""
WORDS = {"green": "yes", "red": "NO", "grey": "–"}


def write_html(path, cells, about):
    number = {c.name: i for i, c in enumerate(cells)}
    count = {state: sum(c.state == state for c in cells) for state in WORDS}
    possible, grey = coverage(cells)

    def button(cell, words):
        return '<button class=%s data-cell=%d title="%s">%s</button>' % (
            cell.state, number[cell.name], html.escape(cell.reason or cell.name, True), html.escape(words))

    with open(path, "w", encoding="utf-8") as out:
        out.write("<!DOCTYPE html>\n<html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
                  "<title>ekmotp: the interop matrix</title><style>%s</style><h1>ekmotp: the interop matrix</h1>" % STYLE)
        out.write("<p><span class=count style='background:var(--green)'>%(green)d passed</span><span class=count "
                  "style='background:var(--red)'>%(red)d failed</span><span class=count style='background:var(--grey)'>"
                  "%(grey)d did not run</span>" % count)
        out.write("<p>Of %d possible pairs of values, %d are in a cell that passed. A click on a cell shows how to repeat "
                  "it, why it did not run, and its log." % (possible, possible - len(grey)))
        out.write("<details><summary>Versions</summary><dl>%s</dl></details>" % "".join(
            "<dt>%s<dd>%s" % tuple(map(html.escape, item)) for item in about))
        for title, rows, columns, found in tables(cells):
            if not found:
                continue
            out.write("<h2>%s</h2>" % html.escape(title))
            if not rows:
                out.write("<div class=rest>%s</div>" % "".join(
                    button(c, "%s: %s, %s" % (WORDS[c.state], *names)) for names, c in found.items()))
                continue
            out.write("<div class=wide><table><thead><tr><th>%s</thead><tbody>" % "".join(
                "<th>" + html.escape(k) for k in columns))
            for row in rows:
                shown = (found.get((row, k)) for k in columns)
                out.write("<tr><th>%s%s" % (html.escape(row), "".join(
                    "<td class=cell>" + button(c, WORDS[c.state]) if c else "<td>" for c in shown)))
            out.write("</tbody></table></div>")
        out.write("<dialog><form method=dialog><button>Close</button></form><h3></h3><p></p><pre></pre></dialog>")
        for c in cells:
            out.write("<pre hidden id=log-%d data-name='%s' data-reason='%s'>%s</pre>" % (
                number[c.name], html.escape(c.name, True), html.escape(c.reason, True), html.escape("\n".join(c.log))))
        out.write("<script>%s</script></html>\n" % SCRIPT)

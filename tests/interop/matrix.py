#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the interop matrix: every client against every server.

A cell is one client, server, kind of TLS connection, token, profile and hash, named with slashes between, as
in ekmotp/node/1.3-hrr/file/v1/SHA-256. It starts the server, lets the client make requests that must be
accepted, and then what must be refused: one bit of the proof changed, the same proof again, the same proof
on a second connection. What was negotiated is read from the wire. Green: all of that was seen. Red: something
else was seen. Grey: it cannot run here, and the cell says why.
"""
import argparse
import os
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

import matrix_cells
from matrix_page import write_html
from matrix_report import versions, write_markdown
from matrix_run import Cell
from matrix_stacks import Stacks


def pairs_left(cells):
    """How many possible pairs no cell has; each is named."""
    left = matrix_cells.uncovered(cells)
    for (i, a), (j, b) in left:
        print("no cell has %s %s with %s %s" % (matrix_cells.AXES[i], a, matrix_cells.AXES[j], b))
    return len(left)


def main():
    parser = argparse.ArgumentParser(prog="./dev matrix", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/plain", help="folder of the build (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="the short run that ./dev check makes")
    parser.add_argument("--list", action="store_true", help="print the names of the cells")
    parser.add_argument("--html", metavar="FILE", help="write a page to look at")
    parser.add_argument("--markdown", metavar="FILE", help="write this system's part of the page docs/interop.md")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2, help="cells at once")
    parser.add_argument("--release", metavar="NAME", help="(first) run it in a fresh root of that Debian release")
    parser.add_argument("cells", nargs="*", metavar="CELL", help="names, or beginnings of names")
    args = parser.parse_args()
    every = matrix_cells.all_cells()
    chosen = matrix_cells.quick_cells() if args.quick else every
    if args.cells:
        chosen = [c for c in every if any("/".join(c).startswith(n) for n in args.cells)]
        if not chosen:
            parser.error("no cell begins with %s; --list names them" % " or ".join(args.cells))
    if args.list:
        print("\n".join("/".join(c) for c in chosen))
        return 0
    folder = tempfile.mkdtemp(prefix="ekmotp-matrix.", dir="/tmp")
    done = []
    stacks = Stacks(os.path.abspath(args.build), folder)
    try:
        with ThreadPoolExecutor(args.jobs) as pool:
            for cell in pool.map(lambda c: Cell(stacks, c).run(), chosen):
                done.append(cell)
                print("%3d/%d %-5s %s %.1f s %s" % (len(done), len(chosen), cell.state, cell.name, cell.seconds,
                                                  cell.reason.splitlines()[0] if cell.reason else ""), flush=True)
    finally:
        stacks.close()
        shutil.rmtree(folder, ignore_errors=True)
    for cell in done:
        if cell.state == "red":
            print("\n==== %s: %s\n%s\nrepeat it: ./dev matrix %s" % (
                cell.name, cell.reason, "\n".join(cell.log)[-6000:], cell.name))
    if args.html:
        write_html(args.html, done, versions())
    if args.markdown:
        write_markdown(args.markdown, done, versions())
    count = {state: sum(c.state == state for c in done) for state in ("green", "red", "grey")}
    left = pairs_left(every)
    print("matrix: %(green)d green, %(red)d red, %(grey)d grey" % count)
    return 1 if count["red"] or left or not count["green"] else 0


sys.exit(main())

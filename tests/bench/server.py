#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""What verification costs on a live server, beside what else people use; run by "make bench-server".

Each round runs every server once, in turn; the table shows medians over the rounds. CPU time is the server's
alone (its threads' schedstat), so the load generator beside it does not count. "over none" is the CPU time
per request over the same server that lets everybody in.

EKMOTP_BENCH_ROUNDS (15), EKMOTP_BENCH_SECONDS (0.5) per run; EKMOTP_BENCH_QUICK=1 runs each once and judges nothing.
"""
import glob
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

build = os.getcwd()
bench = os.path.join(build, "tests", "bench")
quick = os.environ.get("EKMOTP_BENCH_QUICK") == "1"
rounds = 1 if quick else int(os.environ.get("EKMOTP_BENCH_ROUNDS", "15"))
seconds = 0.3 if quick else float(os.environ.get("EKMOTP_BENCH_SECONDS", "0.5"))
tmp = tempfile.mkdtemp(prefix="ekmotp-bench.", dir="/tmp")
running = []


def say(*words):
    print(*words, flush=True)


def path(name):
    return os.path.join(tmp, name)


def quiet(*command):
    subprocess.run(command, check=True, capture_output=True)


def make_files():
    for name in ("server", "client"):
        quiet("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
              path(name + ".key"), "-out", path(name + ".pem"), "-days", "2", "-subj", "/CN=" + name)
    quiet("openssl", "pkey", "-in", path("client.key"), "-pubout", "-out", path("client.pub"))
    ekmotpd = os.path.join(build, "server", "ekmotpd")
    quiet(ekmotpd, "client", "add", "alice", "--directory", path("clients.db"), "--out", path("alice"))
    os.mkdir(path("html"))
    with open(path("html/get"), "w", encoding="ascii") as f:
        f.write("ok")


class Server:
    """A server under test: how it is started, and what the load generator adds to its requests."""

    def __init__(self, name, load, trusted=None, env=None):
        self.name, self.load, self.trusted, self.env = name, load, trusted, env

    def start(self):
        command = [os.path.join(bench, "server_variant"), self.name.split()[0], path("server.pem"), path("server.key"),
                   path("clients.db"), "1"] + ([self.trusted] if self.trusted else [])
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True,
                                        env=dict(os.environ, **(self.env or {})))
        running.append(self.process)
        self.port = None
        for line in self.process.stdout:
            found = re.match(r"listening on .*:(\d+)$", line)
            self.port = int(found.group(1)) if found else self.port
            if line == "ready\n":
                return
        sys.exit("server.py: %s does not start" % self.name)

    def pids(self):
        return [self.process.pid]

    def cpu(self):
        """Nanoseconds of all threads."""
        total = 0
        for pid in self.pids():
            for stat in glob.glob("/proc/%d/task/*/schedstat" % pid):
                with open(stat, encoding="ascii") as f:
                    total += int(f.read().split()[0])
        return total

    def run(self, *more):
        """One run: the generator's figures, and the server's CPU time per request in microseconds."""
        before = self.cpu()
        done = subprocess.run([os.path.join(bench, "load"), "--port", str(self.port), "--seconds", str(seconds),
                               *self.load, *more], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit("server.py: load on %s: %s%s" % (self.name, done.stdout, done.stderr))
        figures = json.loads(done.stdout)
        if not figures["answered"] or figures["refused"]:
            sys.exit("server.py: %s refused: %s" % (self.name, done.stdout))
        figures["cpu"] = (self.cpu() - before) / 1000 / figures["answered"]
        return figures

    def stop(self):
        self.process.terminate()
        if self.process.wait(20) != 0:
            sys.exit("server.py: %s ended with %d" % (self.name, self.process.returncode))


class Nginx(Server):
    """nginx with a static file; more for its main, its http and its server block."""

    main = http = server = ""

    def start(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        with open(path("nginx.%d.conf" % self.port), "w", encoding="ascii") as f:
            f.write("""%(main)s daemon off; worker_processes 1; pid %(tmp)s/nginx.%(port)d.pid; error_log stderr error;
events { worker_connections 1024; }
http {
  access_log off; keepalive_requests 100000000; client_body_temp_path %(tmp)s/b; proxy_temp_path %(tmp)s/p;
  fastcgi_temp_path %(tmp)s/f; uwsgi_temp_path %(tmp)s/u; scgi_temp_path %(tmp)s/s; open_file_cache max=10;
  %(http)s
  server {
    listen 127.0.0.1:%(port)d ssl; root %(tmp)s/html; ssl_protocols TLSv1.2 TLSv1.3;
    ssl_certificate %(tmp)s/server.pem; ssl_certificate_key %(tmp)s/server.key;
    %(server)s
  }
}
""" % {"tmp": tmp, "port": self.port, "main": self.main, "http": self.http, "server": self.server})
        os.chmod(tmp, 0o755)
        self.process = subprocess.Popen(["nginx", "-c", path("nginx.%d.conf" % self.port), "-p", tmp], stderr=subprocess.PIPE,
                                        env=dict(os.environ, **(self.env or {})))
        running.append(self.process)
        for _ in range(200):
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", self.port)) == 0 and self.pids():
                    return
            time.sleep(0.05)
        sys.exit("server.py: nginx does not start")

    def pids(self):
        found = []
        for stat in glob.glob("/proc/[0-9]*/stat"):
            try:
                with open(stat, encoding="utf-8") as f:
                    if int(f.read().rsplit(")", 1)[1].split()[1]) == self.process.pid:
                        found.append(int(stat.split("/")[2]))
            except OSError:
                continue
        return found


def servers():
    proof = ["--key", path("alice")]
    yield Server("none (same requests)", proof)
    yield Server("v1", proof)
    yield Server("none (no proof sent)", [])
    yield Server("mtls", ["--cert", path("client.pem"), "--cert-key", path("client.key")], path("client.pem"))
    yield Server("es256", ["--sign", path("client.key")], path("client.pub"))
    if shutil.which("nginx"):
        yield Nginx("nginx, static file", [])
    else:
        say("nginx is not installed: it is left out")


def measure(all_servers, *more):
    """Rounds over all servers in turn; the figures by name and round."""
    results = {s.name: [] for s in all_servers}
    for i in range(rounds):
        for s in all_servers if i % 2 == 0 else reversed(all_servers):
            results[s.name].append(s.run(*more))
    return results


def median(runs, figure):
    return statistics.median(r[figure] for r in runs)


def compared(runs, base, what):
    """Median of what(run, base) over pairs of the same round: a machine that slows down slows both."""
    return statistics.median(what(r, b) for r, b in zip(runs, base))


def table(title, results, unit, base_name="none (same requests)"):
    base = results[base_name]
    say("\n%s (%d rounds of %.1f s, medians)" % (title, rounds, seconds))
    say("%-24s %12s %14s %12s %10s %10s" % ("server", unit + "/s", "server CPU us", "over none", "p50 us", "p99 us"))
    for name, runs in results.items():
        say("%-24s %12.0f %14.2f %+12.2f %10.0f %10.0f"
            % (name, median(runs, "rate"), median(runs, "cpu"), compared(runs, base, lambda r, b: r["cpu"] - b["cpu"]),
               median(runs, "p50_us"), median(runs, "p99_us")))


def counted(connections):
    """What a v1 server asks of OpenSSL for so many connections: requests, exporter calls, MACs."""
    shim = os.path.join(bench, ".libs", "count_calls.so")
    s = Server("v1", ["--key", path("alice")], env={"LD_PRELOAD": shim, "EKMOTP_COUNT_FILE": path("calls")})
    s.start()
    requests = s.run("--connections", str(connections))["answered"] if connections else 0
    s.stop()
    with open(path("calls"), encoding="ascii") as f:
        calls = json.load(f)
    return requests, calls["exports"], calls["macs"]


def count_calls():
    start = counted(0)[2]  # the directory's own
    requests, exports, macs = counted(16)
    secrets = macs - start - 2 * requests
    say("\n16 connections, %d requests: %d exporter calls; %d MACs, 2 for each request and %d beside them"
        % (requests, exports, macs - start, secrets))
    return exports == 16 and secrets == 16


def main():
    make_files()
    all_servers = list(servers())
    for s in all_servers:
        s.start()
    kept = measure(all_servers)
    table("Requests on kept connections, 32 at once", kept, "requests")
    pair = [s for s in all_servers if s.name in ("none (same requests)", "v1", "mtls") or isinstance(s, Nginx)]
    fresh = measure(pair, "--new", "--threads", "4")
    table("A new connection for each request, 4 at once", fresh, "connections")
    for s in all_servers:
        s.stop()
    once = count_calls()
    cost = compared(kept["v1"], kept["none (same requests)"], lambda r, b: r["cpu"] - b["cpu"])
    part = 100 * compared(fresh["v1"], fresh["none (same requests)"], lambda r, b: b["cpu"] / r["cpu"])
    rate = 100 * compared(fresh["v1"], fresh["none (same requests)"], lambda r, b: r["rate"] / b["rate"])
    say("\nv1 verification: %.2f us of CPU per request (target: at most 3)" % cost)
    say("new connections: %.1f %% of the same server without it, by CPU; %.1f %% by rate (target: at least 97)"
        % (part, rate))
    say("one exporter call and one channel secret per connection: %s" % ("yes" if once else "NO"))
    return 0 if once and (quick or (cost <= 3 and part >= 97)) else 1


def run(what):
    """Runs a benchmark, ends its servers and removes its files, whatever becomes of it."""
    try:
        return what()
    finally:
        for p in running:
            if p.poll() is None:
                p.kill()
                p.wait()
        shutil.rmtree(tmp, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(run(main))

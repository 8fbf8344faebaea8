#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the module costs nginx, beside what people build today; run by "make bench-nginx".

The same nginx with one worker and the same page: without the module, with it, with client certificates, and with
auth_request to a local service. The knobs are those of server.py.
"""
import os
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import server  # noqa: E402

IDLE = 100 if server.quick else 1000


class Nginx(server.Nginx):
    def __init__(self, name, load, main="", http="", inner=""):
        libraries = [os.path.join(server.build, d, ".libs")
                     for d in ("p11", "lib/core", "lib/openssl", "lib/jose", "lib/directory")]
        super().__init__(name, load, env={"LD_LIBRARY_PATH": ":".join(libraries)})
        self.main, self.http, self.server = main, http, inner

    def resident(self):
        """KiB that the worker has in memory."""
        with open("/proc/%d/status" % self.pids()[0], encoding="ascii") as f:
            return int(next(line for line in f if line.startswith("VmRSS")).split()[1])


def variants():
    proof = ["--key", server.path("alice")]
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    yield Nginx("without", proof)
    yield Nginx("with the module", proof,
                main="user root; load_module %s/server/nginx/ngx_http_ekmotp_module.so;" % server.build,
                inner="ekmotp on; ekmotp_directory %s;" % server.path("clients.db"))
    yield Nginx("client certificates", ["--cert", server.path("client.pem"), "--cert-key", server.path("client.key")],
                inner="ssl_client_certificate %s; ssl_verify_client on;" % server.path("client.pem"))
    yield Nginx("auth_request", [],
                http="upstream service { server 127.0.0.1:%d; keepalive 16; } "
                     "server { listen 127.0.0.1:%d; access_log off; location / { return 204; } }" % (port, port),
                inner='location / { auth_request /auth; } location = /auth { internal; proxy_pass http://service; '
                      'proxy_http_version 1.1; proxy_set_header Connection ""; }')


def memory_of(nginx):
    """KiB per connection that has made a verified request and then is idle."""
    nginx.run("--connections", "8")  # what the first connections bring in is not theirs
    before = nginx.resident()
    load = subprocess.Popen([os.path.join(server.bench, "load"), "--port", str(nginx.port), "--seconds", "4",
                             "--connections", str(IDLE), *nginx.load], stdout=subprocess.DEVNULL)
    most = before
    while load.poll() is None:
        most = max(most, nginx.resident())
        time.sleep(0.05)
    return (most - before) / IDLE


def main():
    if not os.path.exists(os.path.join(server.build, "server/nginx/ngx_http_ekmotp_module.so")):
        server.say("the nginx module was not built (nginx-dev)")
        return 77
    server.make_files()
    everything = list(variants())
    for nginx in everything:
        nginx.start()
    kept = server.measure(everything)
    server.table("Requests on kept connections, 32 at once", kept, "requests", "without")
    fresh = server.measure(everything, "--new", "--threads", "4")
    server.table("A new connection for each request, 4 at once", fresh, "connections", "without")
    without, module = everything[:2]
    more = memory_of(module) - memory_of(without)
    for nginx in everything:
        nginx.stop()

    def part(results, figure):
        return 100 * server.compared(results["with the module"], results["without"], figure)

    def rate(r, b):
        return r["rate"] / b["rate"]

    def cpu(r, b):
        return b["cpu"] / r["cpu"]

    server.say("\nkept connections: %.1f %% of the requests by rate, %.1f %% by CPU (target: at least 95)"
               % (part(kept, rate), part(kept, cpu)))
    server.say("new connections: %.1f %% by rate, %.1f %% by CPU (target: at least 97)"
               % (part(fresh, rate), part(fresh, cpu)))
    server.say("memory: %.2f KiB more per connection (target: at most 1)" % more)
    return 0 if server.quick or (part(kept, cpu) >= 95 and part(fresh, cpu) >= 97 and more <= 1) else 1


if __name__ == "__main__":
    sys.exit(server.run(main))

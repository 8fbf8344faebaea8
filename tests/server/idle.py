#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""10,000 idle connections (fewer where the limit on open files says so, and then it is said): none is lost,
others are served meanwhile, and what one costs is shown."""
import os
import resource
import time

import harness
from harness import Directory, Server, Tls, check, same, wait_for

WANTED = 10000
directory = Directory()


def memory(pid):
    with open("/proc/%d/status" % pid, encoding="ascii") as f:
        return [int(line.split()[1]) for line in f if line.startswith("VmRSS")][0]


def test_idle():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    limit = 2 * WANTED + 1000 if hard == resource.RLIM_INFINITY else hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    count = min(WANTED, limit - 300)
    if count < WANTED:
        print("only %d connections: the limit on open files is %d" % (count, limit))
    server = Server("--connections", str(count + 200), "--connections-per-address", str(count + 200), "--log-level",
                    "warning", "--handshake-timeout", "120", "--header-timeout", "300", directory=directory)
    # the server raised its own limit as far as it may
    Tls(server.port).close()
    empty = memory(server.process.pid)
    start = time.monotonic()
    connections = []
    end = start + 45
    while len(connections) < count and time.monotonic() < end:
        connections.append(Tls(server.port))
    if len(connections) < count:
        print("this machine makes only %d connections in 45 s" % len(connections))
        check(len(connections) > 500, "too few")
    opened = time.monotonic() - start
    wait_for("all of them", lambda: server.metric("ekmotp_connections") == len(connections))
    full = memory(server.process.pid)
    slowest = 0
    for _ in range(20):
        begin = time.monotonic()
        c = Tls(server.port)
        same("meanwhile", c.request(authorization=c.proof(directory, 1)).status, 200)
        c.close()
        slowest = max(slowest, time.monotonic() - begin)
    for c in connections[::97]:
        same("an idle one", c.request(authorization=c.proof(directory, 1)).status, 200)
    same("refused", server.metric('ekmotp_connections_refused_total{limit="connections"}'), 0)
    print("%d idle connections in %.1f s: %.1f KiB each; the slowest of 20 requests beside them took %.1f ms"
          % (len(connections), opened, (full - empty) / len(connections), slowest * 1000))
    server.kill(harness.signal.SIGTERM)
    wait_for("the end", lambda: server.process.poll() is not None, 20)
    same("exit status", server.process.returncode, 0)


os.nice(5)
harness.main()

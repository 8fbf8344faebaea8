# SPDX-License-Identifier: Apache-2.0
"""The tokens of the interop matrix, each made once in a run, by token_holder.sh."""
import os
import subprocess
import threading

HERE = os.path.dirname(os.path.abspath(__file__))


class Failed(Exception):
    """The cell is red."""


class Absent(Exception):
    """The cell is grey."""


class Token:
    """A token that lives as long as its holder. environment, agent and uri are for clients."""

    def __init__(self, kind, folder, build):
        self.folder, self.environment, self.agent, self.uri = folder, {}, None, None
        self.absent = None
        self.holder = subprocess.Popen([os.path.join(HERE, "token_holder.sh"), kind, folder, build], text=True,
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for line in self.holder.stdout:
            word, _, rest = line.rstrip("\n").partition(" ")
            if word == "env":
                name, _, self.environment[name] = rest.partition("=")
            elif word in ("agent", "uri", "absent"):
                setattr(self, word, rest)
            if word in ("ready", "absent"):
                return
        self.failed = self.holder.stderr.read()

    def key(self, name):
        return self.uri.replace("%s", name)

    def close(self):
        self.holder.stdin.close()
        self.holder.wait(60)


class Tokens:
    def __init__(self, folder, build):
        self.folder, self.build = folder, build
        self.made, self.locks, self.lock = {}, {}, threading.Lock()

    def get(self, kind):
        with self.lock:
            lock = self.locks.setdefault(kind, threading.Lock())
        with lock:
            if kind not in self.made:
                self.made[kind] = Token(kind, os.path.join(self.folder, "token-" + kind), self.build)
        token = self.made[kind]
        if token.absent:
            raise Absent(token.absent)
        if not token.uri:
            raise Failed("the token %s: %s" % (kind, token.failed))
        return token

    def close(self):
        for token in self.made.values():
            token.close()

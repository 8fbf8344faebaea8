# SPDX-License-Identifier: Apache-2.0
"""An nginx with the module where the tests of ekmotpd have an ekmotpd."""
import os
import re
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "server"))
import harness  # noqa: E402
from harness import build, check, path, same, wait_for  # noqa: E402

MODULE = os.path.join(build, "server", "nginx", "ngx_http_ekmotp_module.so")
LIBRARIES = [os.path.join(build, d, ".libs") for d in ("p11", "lib/core", "lib/openssl", "lib/jose", "lib/directory")]
CONFIGURATION = """
load_module %(module)s;
%(user)s
daemon off; worker_processes 2; pid %(folder)s/pid; error_log %(folder)s/error.log info;
events { worker_connections 1024; }
http {
    log_format ekmotp 'path=$uri status=$status client=$ekmotp_client reason=$ekmotp_reason';
    access_log %(folder)s/access.log ekmotp;
    client_body_temp_path %(folder)s/body; proxy_temp_path %(folder)s/proxy; fastcgi_temp_path %(folder)s/fastcgi;
    uwsgi_temp_path %(folder)s/uwsgi; scgi_temp_path %(folder)s/scgi;
    ssl_certificate %(cert)s; ssl_certificate_key %(key)s; ssl_protocols TLSv1.2 TLSv1.3;
    server {
        listen 127.0.0.1:%(port)d ssl http2;
        ekmotp on; ekmotp_directory %(directory)s; ekmotp_profile %(profiles)s;
        default_type text/plain;
        %(server)s
    }
    %(http)s
}
"""


class Nginx(harness.Server):
    """server: what its server block holds; http: more for the http block; both with fields of CONFIGURATION."""

    def __init__(self, directory, profiles=("v1",), cert=None, server="location / { return 200 'ok'; }", http=""):
        if not os.path.exists(MODULE):
            harness.skip("the nginx module was not built (nginx-dev)")
        self.directory, self.folder = directory, path("nginx%d" % harness.Server.count)
        os.mkdir(self.folder)
        pem = cert or harness.certificate()
        # nginx cannot choose a port: it is handed a listening socket, as by an older nginx that it replaces.
        listener = socket.create_server(("127.0.0.1", 0), backlog=511)
        self.port = listener.getsockname()[1]
        self.fields = {"module": MODULE, "user": "user root;" if os.getuid() == 0 else "", "folder": self.folder,
                       "cert": pem[0], "key": pem[1], "port": self.port, "directory": directory.file,
                       "profiles": " ".join(profiles)}
        self.configure(server, http)
        env = {"LD_LIBRARY_PATH": ":".join(LIBRARIES), "NGINX": "%d;" % listener.fileno(), **sanitizer()}
        self.spawn(["nginx", "-p", self.folder, "-c", self.file("nginx.conf"), "-e", self.file("error.log")], env,
                   pass_fds=[listener.fileno()])
        listener.close()
        wait_for("nginx", lambda: os.path.exists(self.file("pid")) or self.process.poll() is not None)
        check(self.process.poll() is None, "nginx ended:", self.log())

    def configure(self, server, http=""):
        with open(self.file("nginx.conf"), "w", encoding="ascii") as f:
            f.write(CONFIGURATION % dict(self.fields, server=server % self.fields, http=http % self.fields))

    def workers(self):
        return [int(p) for p in subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True,
                                               text=True).stdout.split()]

    @classmethod
    def offering(cls, directory, *profiles):
        return cls(directory, profiles)

    def file(self, name):
        return os.path.join(self.folder, name)

    def log(self):
        """What it says at its start, its error log, its access log."""
        text = ""
        for name in (self.err, self.file("error.log"), self.file("access.log")):
            if os.path.exists(name):
                with open(name, encoding="utf-8") as f:
                    text += f.read()
        return text

    def refusals(self, reason):
        return len(re.findall(r" ekmotp: reason=%s client=" % reason, self.log()))

    def wait_refusal(self, reason):
        self.wait_log("status=401 client=- reason=%s$" % reason)

    def stop(self, *how, **more):
        super().stop(*how, **more)
        same("deaths of workers", re.findall(".*exited on signal.*|.*runtime error.*", self.log()), [])


def sanitizer():
    """The environment for a module that was built with AddressSanitizer, which nginx itself is not."""
    found = re.search(r"libasan\S* => (\S+)", subprocess.run(["ldd", MODULE], capture_output=True, text=True).stdout)
    return {"LD_PRELOAD": found[1], "ASAN_OPTIONS": "detect_leaks=0"} if found else {}

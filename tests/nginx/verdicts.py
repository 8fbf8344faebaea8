#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""The verdicts that are tested on ekmotpd, on nginx: the same tests, another server."""
import os
import runpy
import sys

sys.dont_write_bytecode = True
import nginx  # noqa: E402

nginx.harness.Server = nginx.Nginx
runpy.run_path(os.path.join(os.path.dirname(nginx.harness.__file__), "verdicts.py"), run_name="__main__")

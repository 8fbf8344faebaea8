#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# server.sh: what verification costs on a live ekmotpd, beside no authentication, mutual TLS, ES256 and nginx
#
# usage: server.sh BUILD-FOLDER
set -eu -o pipefail

exec make -s -C "$1" bench-server

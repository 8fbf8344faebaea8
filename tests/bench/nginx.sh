#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# nginx.sh: requests and connections of nginx with the module, without, with client certificates, auth_request
#
# usage: nginx.sh BUILD-FOLDER
set -eu -o pipefail

exec make -s -C "$1" bench-nginx

#!/bin/sh
# Installs what the tests need and is not there yet: Debian's redis-server and
# redis-tools, and Python's venv (the tests make their own environment with redis-py in it).
set -eu
if ! command -v redis-server >/dev/null || ! command -v redis-cli >/dev/null || ! python3 -c 'import venv' 2>/dev/null; then
    apt-get update -q
    # The package would start a server of its own, which nobody asked for.
    DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -q -y --no-install-recommends \
        redis-server redis-tools python3 python3-venv
fi

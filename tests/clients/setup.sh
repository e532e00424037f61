#!/bin/sh
# Makes a Python environment with the client libraries of a requirements file and prints its python.
#
#   setup.sh FOLDER [REQUIREMENTS]
#
# FOLDER is made once and reused as long as the requirements stay the same.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
folder=$1
requirements=$here/${2:-requirements.txt}

if ! cmp -s "$requirements" "$folder/installed.txt"; then
    rm -rf "$folder"
    python3 -m venv "$folder" >&2
    "$folder/bin/pip" install --quiet --disable-pip-version-check -r "$requirements" >&2
    cp "$requirements" "$folder/installed.txt"
fi
echo "$folder/bin/python"

#!/bin/sh
# Pin every *.in again. Needs uv; without an index address in the result, so a mirror works as well.
set -eu
cd "$(dirname "$0")"
../.venv/bin/python -m pip install --quiet --disable-pip-version-check uv
for group in runtime embedded dev; do
  ../.venv/bin/uv pip compile --quiet --generate-hashes --universal --python-version 3.11 \
    --no-emit-index-url --no-header --no-annotate "$group.in" --output-file "$group.txt"
done

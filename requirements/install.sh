#!/bin/sh
# install.sh PYTHON GROUP STAMP: the virtual environment with the pinned, hashed requirements of GROUP, and our own SDK.
set -eu
python=$1 group=$2 stamp=$3

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
  echo "Latchwire needs Python 3.11 or newer; '$python' is not. Try: make PYTHON=python3.12 ..." >&2
  exit 1
}
[ -x .venv/bin/python ] || {
  "$python" -m venv .venv || {
    echo "Cannot make a virtual environment. On Debian: apt-get install python3-venv" >&2
    exit 1
  }
}
echo "installing requirements/$group.txt into .venv (first time only) ..."
.venv/bin/python -m pip install --quiet --disable-pip-version-check --retries 10 --require-hashes -r "requirements/$group.txt"
# The SDK as it is in the checkout: examples import it as if it were installed.
for packages in .venv/lib/python3.*/site-packages; do
  echo ../../../../sdk/src > "$packages/latchwire.pth"
done
touch "$stamp"

#!/bin/sh
# What only Debian's packages have: Chromium. Installed when we may; else named, and a failure when CI is set.
set -eu
command -v chromium >/dev/null 2>&1 && exit 0
command -v chromium-browser >/dev/null 2>&1 && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "installing Chromium for the browser tests ..."
  export DEBIAN_FRONTEND=noninteractive
  if apt-get update -qq >/dev/null && apt-get install -y -qq chromium >/dev/null; then exit 0; fi
fi
echo "MISSING: chromium. The browser tests will be skipped. On Debian: apt-get install chromium" >&2
[ -z "${CI:-}" ] || exit 1

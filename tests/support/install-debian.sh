#!/bin/sh
# What only Debian's packages have: Chromium and PostgreSQL. Installed when we may; else named, and a failure
# when CI is set.
set -eu

has_chromium() {
  command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1
}
has_postgresql() {
  command -v initdb >/dev/null 2>&1 && return 0
  for program in /usr/lib/postgresql/*/bin/initdb; do [ -x "$program" ] && return 0; done
  return 1
}

missing=
has_chromium || missing="$missing chromium"
has_postgresql || missing="$missing postgresql"
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "installing for the tests:$missing ..."
  export DEBIAN_FRONTEND=noninteractive
  # The tests start servers of their own: none that runs beside them on this machine.
  conf=/etc/postgresql-common/createcluster.conf
  [ -e $conf ] || { mkdir -p ${conf%/*} && echo "create_main_cluster = false" >$conf; }
  # shellcheck disable=SC2086 - one word for each package
  if apt-get update -qq >/dev/null && apt-get install -y -qq $missing >/dev/null; then exit 0; fi
fi
has_chromium ||
  echo "MISSING: chromium. The browser tests will be skipped. On Debian: apt-get install chromium" >&2
has_postgresql ||
  echo "MISSING: postgresql. Accounts will be tested on SQLite alone. On Debian: apt-get install postgresql" >&2
[ -z "${CI:-}" ] || exit 1

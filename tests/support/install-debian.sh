#!/bin/sh
# What only Debian's packages have: Chromium, PostgreSQL and three of the five proxies. Installed when we may; else
# named, and a failure when CI is set.
set -eu

has_chromium() {
  command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1
}
has_postgresql() {
  command -v initdb >/dev/null 2>&1 && return 0
  for program in /usr/lib/postgresql/*/bin/initdb; do [ -x "$program" ] && return 0; done
  return 1
}

has_proxy() {
  for folder in /usr/sbin /usr/local/sbin; do [ -x "$folder/$1" ] && return 0; done
  command -v "$1" >/dev/null 2>&1
}
proxies() {
  has_proxy nginx || printf ' nginx-light'
  has_proxy haproxy || printf ' haproxy'
  has_proxy caddy || printf ' caddy'
}
# Packages start a daemon of their own as they are installed, unless this says no (invoke-rc.d(8)).
no_daemons() {
  policy=/usr/sbin/policy-rc.d
  [ -e $policy ] && return 0
  printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy
  trap 'rm -f $policy' EXIT INT TERM
}
# A mirror may be away for a moment, and a machine that has just started be busy with packages of its own.
fetched() {
  apt-get update -qq -o Acquire::Retries=5 >/dev/null || return 1
  # shellcheck disable=SC2086 - one word for each package
  apt-get install -y -qq -o Acquire::Retries=5 -o DPkg::Lock::Timeout=300 $missing >/dev/null
}

missing=$(proxies)
has_chromium || missing="$missing chromium"
has_postgresql || missing="$missing postgresql"
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "installing for the tests:$missing ..."
  export DEBIAN_FRONTEND=noninteractive
  # The tests start servers of their own: none that runs beside them on this machine.
  conf=/etc/postgresql-common/createcluster.conf
  [ -e $conf ] || { mkdir -p ${conf%/*} && echo "create_main_cluster = false" >$conf; }
  [ -z "$(proxies)" ] || no_daemons
  for pause in 0 5 30; do
    sleep $pause
    fetched || continue
    # Nor does one start when this machine does next.
    ! command -v systemctl >/dev/null 2>&1 || for name in nginx haproxy caddy; do
      case $missing in *$name*) systemctl disable --now $name >/dev/null 2>&1 || : ;; esac
    done
    exit 0
  done
fi
has_chromium ||
  echo "MISSING: chromium. The browser tests will be skipped. On Debian: apt-get install chromium" >&2
has_postgresql ||
  echo "MISSING: postgresql. Accounts will be tested on SQLite alone. On Debian: apt-get install postgresql" >&2
[ -z "$(proxies)" ] ||
  echo "MISSING:$(proxies). These proxies will not be tested. On Debian: apt-get install$(proxies)" >&2
[ -z "${CI:-}" ] || exit 1

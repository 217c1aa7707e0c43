#!/bin/sh
# What the entry point of the image "postgres" does before its command, with the programs of this machine: an
# empty PGDATA becomes a cluster with POSTGRES_USER and POSTGRES_DB. PostgreSQL does not run as root: there it
# runs as nobody, in a directory of its own, because nobody may enter the test's.
set -eu
for bin in /usr/lib/postgresql/*/bin; do PATH=$bin:$PATH; done

as=
if [ "$(id -u)" = 0 ]; then
  as="setpriv --reuid=nobody --regid=nogroup --clear-groups --"
  own=$(mktemp -d /tmp/latchwire-compose-XXXXXX)
  cp "$POSTGRES_PASSWORD_FILE" "$own/password"
  POSTGRES_PASSWORD_FILE=$own/password PGDATA=$own/data
  chown -R nobody "$own"
  cd "$own"
fi
# shellcheck disable=SC2086 - words of a command
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  $as initdb --no-sync -D "$PGDATA" -U "$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" $POSTGRES_INITDB_ARGS
  echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
  echo "CREATE DATABASE $POSTGRES_DB" | $as postgres --single -D "$PGDATA" postgres >/dev/null
fi
$as "$@" -D "$PGDATA" -c unix_socket_directories= &
trap 'kill -INT $!' TERM INT
wait $! || wait $! || true
[ -z "${own:-}" ] || rm -rf "$own"

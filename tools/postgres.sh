#!/bin/sh
# Runs a command with a private PostgreSQL: its own folder, a free loopback port, stopped and removed afterwards.
# It does not sync: no test takes the power from it, and a process that is killed loses nothing that way. ISOBAR_POSTGRES_FSYNC=on lets it, for figures.
# The command finds its URL in ISOBAR_TEST_POSTGRES. Needs Debian's postgresql package (make test installs it).
set -eu
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
[ -n "$bin" ] || { echo "tools/postgres.sh: no PostgreSQL found, install Debian's package postgresql" >&2; exit 1; }
dir=$(mktemp -d /tmp/isobar-postgres.XXXXXX)
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])' 2>/dev/null || echo 54329)
as() { if [ "$(id -u)" = 0 ]; then su postgres -s /bin/sh -c "$1"; else sh -c "$1"; fi; }
[ "$(id -u)" != 0 ] || chown postgres "$dir"
stop() { as "$bin/pg_ctl -D $dir/data -m immediate stop" >/dev/null 2>&1 || true; rm -rf "$dir"; }
trap stop EXIT
trap 'exit 130' INT TERM
as "$bin/initdb -D $dir/data -A trust -U postgres --no-sync" >"$dir/log" 2>&1 || { cat "$dir/log" >&2; exit 1; }
as "$bin/pg_ctl -D $dir/data -w -o '-c listen_addresses=127.0.0.1 -c port=$port -c unix_socket_directories=$dir -c max_connections=400 -c shared_buffers=256MB -c fsync=${ISOBAR_POSTGRES_FSYNC:-off} -c full_page_writes=${ISOBAR_POSTGRES_FSYNC:-off}' -l $dir/server.log start" >/dev/null ||
	{ cat "$dir/server.log" >&2; exit 1; }
ISOBAR_TEST_POSTGRES="postgres://postgres@127.0.0.1:$port/postgres?sslmode=disable" "$@"

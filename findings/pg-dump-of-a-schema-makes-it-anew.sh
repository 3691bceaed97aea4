#!/usr/bin/env bash
# pg_dump --schema=public makes a copy that restores into no new database: it begins with CREATE SCHEMA public, which every new database has.
# The same database without --schema restores. Shown with PostgreSQL 15 as Debian 12 has it, started on a socket in a temporary folder.
set -euo pipefail
programs=/usr/lib/postgresql/15/bin
folder=$(mktemp -d)
chmod 755 "$folder"
as() { "$@"; }
if [ "$(id -u)" = 0 ]; then
    chown nobody "$folder"
    as() { setpriv --reuid=nobody --clear-groups "$@"; }
fi
trap 'as "$programs/pg_ctl" -D "$folder/data" -m immediate stop > /dev/null; rm -rf "$folder"' EXIT
cd "$folder"
as "$programs/initdb" -D data -U me -A trust --no-sync > /dev/null
as "$programs/pg_ctl" -D data -w -l log -o "-c listen_addresses= -k $folder" start > /dev/null
export PGHOST=$folder PGUSER=me
for name in source new newer; do "$programs/createdb" "$name"; done
"$programs/psql" -qd source -c 'CREATE TABLE t (x int)'
"$programs/pg_dump" --version
restored() { if "$programs/pg_restore" --exit-on-error -d "$1"; then echo yes; else echo no; fi 2>&1 | tee /dev/stderr | tail -1; }
by_schema=$("$programs/pg_dump" -Fc --schema=public source | restored new)
whole=$("$programs/pg_dump" -Fc source | restored newer)
echo "restores into a new database: with --schema=public $by_schema, without $whole"
[ "$by_schema $whole" = "no yes" ]

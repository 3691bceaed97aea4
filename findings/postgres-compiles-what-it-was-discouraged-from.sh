#!/usr/bin/env bash
# PostgreSQL with `enable_seqscan = off` compiles (JIT) a read of one row of one page where no index helps: discouraging a plan adds ten thousand million to
# its cost, and the cost is what says whether compiling is worth its while. The row then takes tenths of a second, each time. `jit = off` beside it, and it is
# as quick as ever. Shown with PostgreSQL 15 as Debian 12 has it, started on a socket in a temporary folder.
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
export PGHOST=$folder PGUSER=me PGDATABASE=postgres
"$programs/psql" -qc 'CREATE TABLE t (x int)' -c 'INSERT INTO t VALUES (1)'
seen() { "$programs/psql" -qAt "$@" -c 'EXPLAIN ANALYZE SELECT * FROM t WHERE x > 0' | grep -E '^(JIT|Execution)' | paste -sd ' ' | tee /dev/stderr; }
"$programs/postgres" --version
plain=$(seen)
discouraged=$(seen -c 'SET enable_seqscan = off')
neither=$(seen -c 'SET enable_seqscan = off' -c 'SET jit = off')
case "$plain/$discouraged/$neither" in
    Execution*/JIT*/Execution*) echo "as it comes: not compiled; enable_seqscan = off: compiled; jit = off besides: not compiled" ;;
    *) exit 1 ;;
esac

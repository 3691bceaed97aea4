#!/usr/bin/env bash
# SQLite calls a full disk by its name when it writes, but not when it opens a database in WAL mode: it cannot make its 32 KiB of shared
# memory then, and even a SELECT fails with "disk I/O error" (SQLITE_IOERR_SHMSIZE), whose usual remedy is a backup. Shown on a tmpfs.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/show.py" <<'PYTHON'
import os, sqlite3, sys

os.chdir(sys.argv[1])
database = sqlite3.connect("wal.db")
database.execute("PRAGMA journal_mode=WAL")
database.execute("CREATE TABLE t (x)")
database.commit()
database.close()
with open("filler", "wb", buffering=0) as filler:
    try:
        while True:
            filler.write(bytes(4096))
    except OSError as error:
        print("the disk is full:", error.strerror)
said = []
for statement in ("SELECT count(*) FROM t", "INSERT INTO t VALUES (1)"):
    try:
        sqlite3.connect("wal.db").execute(statement)
        said.append("done")
    except sqlite3.Error as error:
        said.append(error.sqlite_errorname)
    print(f"sqlite {sqlite3.sqlite_version}: {statement}: {said[-1]}")
sys.exit(said != ["SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_SHMSIZE"])
PYTHON
mkdir "$folder/disk"
unshare --user --map-root-user --mount sh -c "mount -t tmpfs -o size=256k tmpfs '$folder/disk' && python3 '$folder/show.py' '$folder/disk'"

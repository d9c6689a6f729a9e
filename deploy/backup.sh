#!/bin/sh
# A backup of one of the two things that belong in different places: the database, or the keys.
#
#   backup.sh sqlite DIR      bursar.db of BURSAR_DATA_DIR, while Bursar serves, as DIR/bursar-TIME.db
#   backup.sh postgres DIR    the database that PGHOST, PGPORT, PGUSER, PGPASSFILE and PGDATABASE name, DIR/bursar-TIME.dump
#   backup.sh keys DIR        the key files of BURSAR_DATA_DIR: one copy, which replaces the one before
#
# Beside a database's copy stands its SHA-256. docs/backup.md says how often, where to, and why keys have no history.
set -eu
umask 077

fail() {
    echo "backup: $*" >&2
    exit 3
}

if [ $# != 2 ]; then
    sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
kind=$1
mkdir -p "$2"
target=$(CDPATH='' cd -- "$2" && pwd)
data=${BURSAR_DATA_DIR:-data}
stem=$target/bursar-$(date -u +%Y%m%dT%H%M%SZ)

# finish EXTENSION: from here on the copy counts.
finish() {
    sync "$stem.partial"
    mv "$stem.partial" "$stem.$1"
    (cd "$target" && sha256sum "$(basename "$stem.$1")" >"$stem.$1.sha256")
    sync "$target" "$stem.$1.sha256"
    echo "$stem.$1"
}

case $kind in
sqlite)
    [ -e "$data/bursar.db" ] || fail "$data/bursar.db is not there; BURSAR_DATA_DIR says where it is"
    # SQLite's online backup: one state of the database, whatever is written meanwhile.
    python3 - "$data/bursar.db" "$stem.partial" <<'PYTHON' || fail 'the copy did not succeed'
import sqlite3
import sys

source = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True, timeout=60)
copy = sqlite3.connect(sys.argv[2])
source.backup(copy, pages=-1)
copy.execute("PRAGMA journal_mode=DELETE")
found = copy.execute("PRAGMA integrity_check").fetchone()[0]
copy.close()
sys.exit(0 if found == "ok" else f"the copy is damaged: {found}")
PYTHON
    finish db
    ;;
postgres)
    pg_dump --format=custom --file="$stem.partial" || fail 'pg_dump did not succeed'
    finish dump
    ;;
keys)
    [ -e "$data/master.key" ] || fail "$data/master.key is not there; BURSAR_DATA_DIR says where the keys are"
    new=$target/.keys-new
    rm -rf "$new"
    mkdir "$new"
    for file in "$data/master.key" "$data/log.key" "$data"/seal.key*; do
        [ ! -e "$file" ] || cp -p "$file" "$new/"
    done
    chmod 0400 "$new"/*
    sync "$new"/*
    # An old seal.key would open what was erased since, so none is left behind.
    find "$target" -maxdepth 1 -type f \( -name '*.key' -o -name 'seal.key*' \) -exec rm -f {} +
    mv "$new"/* "$target/"
    rmdir "$new"
    sync "$target"
    echo "$target"
    ;;
*)
    fail "$kind is none of sqlite, postgres and keys"
    ;;
esac

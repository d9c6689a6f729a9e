#!/bin/sh
# Brings back what backup.sh has copied, to where nothing is yet; it overwrites nothing.
#
#   restore.sh keys DIR         into BURSAR_DATA_DIR
#   restore.sh sqlite FILE      as bursar.db in BURSAR_DATA_DIR
#   restore.sh postgres FILE    into the empty database that PGHOST, PGPORT, PGUSER, PGPASSFILE and PGDATABASE name, as a
#                               superuser, once deploy/postgres/roles.sh has made the roles
#
# Then, before serving: `bursar doctor` and `bursar audit verify`. docs/backup.md says what a log that was set back means.
set -eu
umask 077

fail() {
    echo "restore: $*" >&2
    exit 3
}

if [ $# != 2 ]; then
    sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
data=${BURSAR_DATA_DIR:-data}

# whole FILE: it is the one that backup.sh has written.
whole() {
    [ -e "$1.sha256" ] || fail "$1.sha256 is not there"
    (cd "$(dirname "$1")" && sha256sum --check --status "$(basename "$1").sha256") ||
        fail "$1 is not the file whose SHA-256 stands beside it"
}

case $1 in
keys)
    [ -e "$2/master.key" ] || fail "$2 holds no master.key"
    mkdir -p "$data"
    for file in "$2/master.key" "$2/log.key" "$2"/seal.key*; do
        own=$data/$(basename "$file")
        if [ -e "$own" ]; then
            cmp -s "$file" "$own" || fail "$own is there, and another one"
        elif [ -e "$file" ]; then
            cp -p "$file" "$own"
            chmod 0400 "$own"
        fi
    done
    ;;
sqlite)
    whole "$2"
    mkdir -p "$data"
    for file in "$data/bursar.db" "$data/bursar.db-wal" "$data/bursar.db-shm"; do
        [ ! -e "$file" ] || fail "$file is there; move it away, and keep it"
    done
    cp "$2" "$data/bursar.db.partial"
    sync "$data/bursar.db.partial"
    mv "$data/bursar.db.partial" "$data/bursar.db"
    sync "$data"
    ;;
postgres)
    whole "$2"
    tables=$(psql --no-psqlrc -qtA -c "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") || fail 'no database'
    [ "$tables" = 0 ] || fail "the database ${PGDATABASE:-} holds $tables tables; restore into an empty one"
    pg_restore --exit-on-error --single-transaction --dbname="${PGDATABASE:?}" "$2" || fail 'pg_restore did not succeed'
    ;;
*)
    fail "$1 is none of keys, sqlite and postgres"
    ;;
esac
echo 'restored; now: bursar doctor, bursar audit verify'

#!/bin/sh
# Two roles and a database for Bursar: the owner migrates, the other serves and can change neither a table nor an
# entry of the log. For a superuser's psql: in a container at its first start, or by hand with PGHOST and PGUSER.
set -eu

secrets=${SECRETS_DIR:-/run/secrets}

# The passwords go through standard input: arguments are there for everybody to see.
password_of() {
    printf "\\\\set %s '%s'\n" "$1" "$(sed "s/'/''/g" "$secrets/postgres_$1")"
}

{
    password_of owner
    password_of app
    cat <<'SQL'
CREATE ROLE bursar_owner LOGIN PASSWORD :'owner';
CREATE ROLE bursar_app LOGIN PASSWORD :'app';
CREATE DATABASE bursar OWNER bursar_owner ENCODING 'UTF8' TEMPLATE template0;
REVOKE ALL ON DATABASE bursar FROM PUBLIC;
GRANT CONNECT ON DATABASE bursar TO bursar_app;
\connect bursar
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
ALTER SCHEMA public OWNER TO bursar_owner;
SQL
} | psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username="${POSTGRES_USER:-${PGUSER:-postgres}}" postgres

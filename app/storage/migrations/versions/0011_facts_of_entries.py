"""What entries can be found by, in the transaction that appends them.

Revision 0011, after 0010.
"""

import json

import sqlalchemy as sa
from alembic import op

from app.audit.facts import FACT_NAMES, facts_of, tags_of

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_AT_ONCE = 2_000
_TEXTS = ("person", "project", "key_id", "credential", "op", "verdict", "rule", "code")
_APPEND = r"""
CREATE FUNCTION audit_append(
  ixs bigint[], ids text[], types text[], tss bigint[], leaves bytea[], hashes bytea[],
  persons text[], projects text[], key_ids text[], credentials text[], ops text[], verdicts text[],
  rules text[], codes text[], requests bigint[], records bigint[], caches text[], upstream_log_ids text[],
  about_ixs bigint[], about_tags text[]
) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, {schema} AS $$
DECLARE
  old_size bigint;
  place int;
BEGIN
  SELECT size INTO STRICT old_size FROM {schema}.head FOR UPDATE;
  FOR place IN 1 .. cardinality(ixs) LOOP
    IF ixs[place] IS DISTINCT FROM old_size + place - 1 THEN
      RAISE EXCEPTION 'entry % does not follow the log of % entries', ixs[place], old_size + place - 1;
    END IF;
    IF sha256('\x00'::bytea || leaves[place]) IS DISTINCT FROM hashes[place] THEN
      RAISE EXCEPTION 'the hash of entry % is not that of its bytes', ixs[place];
    END IF;
  END LOOP;
  FOR place IN 1 .. cardinality(about_ixs) LOOP
    IF about_ixs[place] < old_size OR about_ixs[place] >= old_size + cardinality(ixs) THEN
      RAISE EXCEPTION 'entry % is not among those that are appended', about_ixs[place];
    END IF;
  END LOOP;
  INSERT INTO {schema}.entry (ix, id, type, ts_us, leaf, leaf_hash)
    SELECT * FROM unnest(ixs, ids, types, tss, leaves, hashes);
  INSERT INTO {schema}.entry_fact (
    ix, person, project, key_id, credential, op, verdict, rule, code, requests, records, cache, upstream_log_id
  ) SELECT * FROM unnest(
    ixs, persons, projects, key_ids, credentials, ops, verdicts, rules, codes, requests, records, caches,
    upstream_log_ids
  );
  INSERT INTO {schema}.entry_about (tag, ix) SELECT * FROM unnest(about_tags, about_ixs);
  RETURN cardinality(ixs);
END $$
"""


def upgrade() -> None:
    with op.batch_alter_table("head") as head:
        head.add_column(sa.Column("min_index", sa.BigInteger(), nullable=False, server_default="0"))
    with op.batch_alter_table("head") as head:
        head.alter_column("min_index", server_default=None)
    _tables()
    _fill()
    op.create_index("ix_entry_type", "entry", ["type", "ix"])
    for name in (*_TEXTS, "cache", "upstream_log_id"):
        where = "verdict <> 'allowed'" if name == "verdict" else f"{name} IS NOT NULL"
        _index(name, [name, "ix"], where)
    for name in ("requests", "records"):
        _index(name, ["ix"], f"{name} > 0")
    if op.get_bind().dialect.name == "postgresql":
        _guard_on_postgresql()
    else:
        _guard_on_sqlite()


def _tables() -> None:
    index = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "entry_fact",
        sa.Column("ix", index, nullable=False, primary_key=True, autoincrement=False),
        *(sa.Column(name, sa.Text(), nullable=True) for name in _TEXTS),
        sa.Column("requests", sa.BigInteger(), nullable=True),
        sa.Column("records", sa.BigInteger(), nullable=True),
        sa.Column("cache", sa.Text(), nullable=True),
        sa.Column("upstream_log_id", sa.Text(), nullable=True),
    )
    op.create_table(
        "entry_about",
        sa.Column("tag", sa.String(200), nullable=False, primary_key=True),
        sa.Column("ix", sa.BigInteger(), nullable=False, primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )


def _fill() -> None:
    """Read the entries that there are, and write down what they can be found by."""
    connection = op.get_bind()
    entry = sa.table("entry", sa.column("ix"), sa.column("leaf"))
    fact = sa.table("entry_fact", sa.column("ix"), *(sa.column(name) for name in FACT_NAMES))
    about = sa.table("entry_about", sa.column("tag"), sa.column("ix"))
    after = -1
    while True:
        asked = sa.select(entry.c.ix, entry.c.leaf).where(entry.c.ix > after).order_by(entry.c.ix)
        rows = connection.execute(asked.limit(_AT_ONCE)).all()
        if not rows:
            return
        after = rows[-1].ix
        said = [(row.ix, json.loads(bytes(row.leaf))) for row in rows]
        facts = [(ix, facts_of(entry)) for ix, entry in said]
        connection.execute(
            sa.insert(fact),
            [{"ix": ix, **{name: getattr(found, name) for name in FACT_NAMES}} for ix, found in facts],
        )
        tags = [{"tag": tag, "ix": ix} for ix, entry in said for tag in tags_of(entry)]
        if tags:
            connection.execute(sa.insert(about), tags)


def _index(name: str, columns: list[str], where: str) -> None:
    condition = sa.text(where)
    op.create_index(
        f"ix_entry_fact_{name}",
        "entry_fact",
        columns,
        sqlite_where=condition,
        postgresql_where=condition,
    )


def _guard_on_postgresql() -> None:
    schema = op.get_bind().execute(sa.text("SELECT quote_ident(current_schema())")).scalar_one()
    op.execute("DROP FUNCTION audit_append")
    op.execute(sa.text(_APPEND.replace("{schema}", schema).replace(":bytea", r"\:bytea")))
    op.execute("REVOKE ALL ON FUNCTION audit_append FROM PUBLIC")
    for name in ("entry_fact", "entry_about"):
        op.execute(
            f"CREATE TRIGGER {name}_is_final BEFORE UPDATE OR DELETE OR TRUNCATE ON {name} "
            "FOR EACH STATEMENT EXECUTE FUNCTION entry_is_final()"
        )


def _guard_on_sqlite() -> None:
    for name in ("entry_fact", "entry_about"):
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {name}_no_{verb.lower()} BEFORE {verb} ON {name} "
                "BEGIN SELECT RAISE(ABORT, 'entries of the log are never changed'); END"
            )

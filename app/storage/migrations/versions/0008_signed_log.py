"""A signed head and kept subtrees; on PostgreSQL a function that alone appends.

Revision 0008, after 0007.
"""

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_APPEND = r"""
CREATE FUNCTION audit_append(
  ixs bigint[], ids text[], types text[], tss bigint[], leaves bytea[], hashes bytea[]
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
  INSERT INTO {schema}.entry (ix, id, type, ts_us, leaf, leaf_hash)
    SELECT * FROM unnest(ixs, ids, types, tss, leaves, hashes);
  RETURN cardinality(ixs);
END $$
"""


def upgrade() -> None:
    with op.batch_alter_table("head") as head:
        head.add_column(sa.Column("origin", sa.String(200), nullable=False, server_default="bursar"))
        head.add_column(
            sa.Column("checkpoint", sa.LargeBinary(), nullable=False, server_default=sa.text("''"))
        )
    with op.batch_alter_table("head") as head:
        head.alter_column("origin", server_default=None)
        head.alter_column("checkpoint", server_default=None)
    op.create_table(
        "tree_node",
        sa.Column("level", sa.Integer(), nullable=False, primary_key=True, autoincrement=False),
        sa.Column("ix", sa.BigInteger(), nullable=False, primary_key=True, autoincrement=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
    )
    _keep_subtrees()
    if op.get_bind().dialect.name == "postgresql":
        schema = op.get_bind().execute(sa.text("SELECT quote_ident(current_schema())")).scalar_one()
        op.execute(sa.text(_APPEND.replace("{schema}", schema).replace(":bytea", r"\:bytea")))
        op.execute("REVOKE ALL ON FUNCTION audit_append FROM PUBLIC")


def _keep_subtrees() -> None:
    """Work out the roots of the complete subtrees of the entries that there are."""
    connection = op.get_bind()
    row = [bytes(each[0]) for each in connection.execute(sa.text("SELECT leaf_hash FROM entry ORDER BY ix"))]
    node = sa.table("tree_node", sa.column("level"), sa.column("ix"), sa.column("hash", sa.LargeBinary()))
    level = 0
    while len(row) >= 256:
        level += 8
        row = [_root(row[start : start + 256]) for start in range(0, len(row) - 255, 256)]
        rows = [{"level": level, "ix": place, "hash": root} for place, root in enumerate(row)]
        connection.execute(sa.insert(node), rows)


def _root(row: list[bytes]) -> bytes:
    while len(row) > 1:
        row = [hashlib.sha256(b"\x01" + row[at] + row[at + 1]).digest() for at in range(0, len(row), 2)]
    return row[0]

"""Keys of sealed questions, and what of these found no room in their entries.

Revision 0013, after 0012.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "entry_about_more",
        sa.Column("tag", sa.String(200), nullable=False, primary_key=True),
        sa.Column("ix", sa.BigInteger(), nullable=False, primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_entry_about_more_ix", "entry_about_more", ["ix"])
    index = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "sealed_question",
        sa.Column("ix", index, nullable=False, primary_key=True, autoincrement=False),
        sa.Column("nonce", sa.LargeBinary(), nullable=False),
        sa.Column("ct", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "seal_key",
        sa.Column("kid", sa.String(32), nullable=False, primary_key=True),
        sa.Column("person", sa.String(64), nullable=False),
        sa.Column("month", sa.String(7), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("kek", sa.String(32), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("person", "month"),
    )
    op.create_table(
        "blind_key",
        sa.Column("month", sa.String(7), nullable=False, primary_key=True),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("kek", sa.String(32), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "key_wrapping",
        sa.Column("id", sa.Integer(), nullable=False, primary_key=True),
        sa.Column("kek", sa.String(32), nullable=False),
        sa.Column("since_us", sa.BigInteger(), nullable=False),
    )
    _guard()


def _guard() -> None:
    """What is kept beside the log changes as little as the log."""
    for name in ("entry_about_more", "sealed_question"):
        if op.get_bind().dialect.name == "postgresql":
            op.execute(
                f"CREATE TRIGGER {name}_is_final BEFORE UPDATE OR DELETE OR TRUNCATE ON {name} "
                "FOR EACH STATEMENT EXECUTE FUNCTION entry_is_final()"
            )
            continue
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {name}_no_{verb.lower()} BEFORE {verb} ON {name} "
                "BEGIN SELECT RAISE(ABORT, 'entries of the log are never changed'); END"
            )

"""Temporary raises, what the platform says of its own budget, and notices.

Revision 0003, after 0002.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def _text(name: str, length: int, *, primary_key: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=False, primary_key=primary_key)


def _number(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "quota_raise",
        _text("id", 32, primary_key=True),
        _text("scope_kind", 16),
        _text("scope_id", 64),
        _text("dimension", 24),
        _text("window", 16),
        _number("amount"),
        _number("from_us"),
        _number("until_us"),
        sa.Column("reason", sa.Text(), nullable=False),
        _text("granted_by", 64),
        _number("created_us"),
        _number("retired_us", nullable=True),
    )
    op.create_index("ix_quota_raise_scope_id", "quota_raise", ["scope_id"])
    op.create_table(
        "platform_mirror",
        _text("credential_id", 32, primary_key=True),
        _text("family", 16, primary_key=True),
        sa.Column("day", sa.Date(), nullable=False),
        _number("said_us"),
        _number("counted_calls"),
        _number("counted_records"),
        sa.Column("probes", sa.Integer(), nullable=False),
        _number("next_probe_us"),
    )
    op.create_table(
        "notice",
        _text("id", 200, primary_key=True),
        _text("kind", 32),
        _number("created_us"),
        sa.Column("about", sa.JSON(), nullable=False),
        _number("done_us", nullable=True),
    )
    op.create_index("ix_notice_done_us", "notice", ["done_us"])

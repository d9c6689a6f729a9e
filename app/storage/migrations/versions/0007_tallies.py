"""What questions have brought so far, for estimates.

Revision 0007, after 0006.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def _number(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "question_tally",
        sa.Column("question", sa.String(64), nullable=False, primary_key=True),
        sa.Column("conditions", sa.String(64), nullable=False),
        sa.Column("scope", sa.String(64), nullable=False),
        sa.Column("endpoint", sa.String(64), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=True),
        sa.Column("last_day", sa.Date(), nullable=True),
        _number("calls"),
        _number("answers"),
        _number("place", nullable=True),
        *_crawl(""),
        *_crawl("whole_"),
    )
    op.create_index("ix_question_tally_conditions", "question_tally", ["conditions"])
    op.create_index("ix_question_tally_history", "question_tally", ["scope", "endpoint", "at_us"])


def _crawl(prefix: str) -> list[sa.Column[int] | sa.Column[str]]:
    return [
        sa.Column(f"{prefix}fields", sa.Text(), nullable=False),
        sa.Column(f"{prefix}size", sa.Integer(), nullable=True),
        sa.Column(f"{prefix}pages", sa.Integer(), nullable=False),
        _number(f"{prefix}positions"),
        _number(f"{prefix}records"),
        _number(f"{prefix}oldest_s", nullable=True),
        _number(f"{prefix}at_us"),
    ]

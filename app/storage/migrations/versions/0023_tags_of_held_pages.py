"""Whom and what held pages are about.

Revision 0023, after 0022. Pages that are held already have no tags, and go when anything is purged by name.
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "held_page_tags",
        sa.Column(
            "key",
            sa.LargeBinary(),
            sa.ForeignKey("held_page.key", ondelete="CASCADE"),
            nullable=False,
            primary_key=True,
        ),
        sa.Column("scope", sa.String(64), nullable=False),
        sa.Column("tags", sa.LargeBinary(), nullable=False),
    )
    op.create_index("ix_held_page_tags_scope", "held_page_tags", ["scope"])

"""Held pages are counted by project and age without a look at what they hold.

Revision 0020, after 0019.
"""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_held_page_age", "held_page", ["scope", "fetched_us", "records"])

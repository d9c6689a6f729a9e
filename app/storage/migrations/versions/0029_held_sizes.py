"""How many bytes each held page has, and an index that tells of all of them without reading one.

Rows of an older release, which a rolling restart may still write, have no size and count as none until they go.
Revision 0029, after 0028.
"""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("held_page", sa.Column("size", sa.BigInteger(), nullable=True))
    op.execute("UPDATE held_page SET size = length(sealed)")
    op.drop_index("ix_held_page_age", "held_page")
    op.create_index("ix_held_page_age", "held_page", ["scope", "fetched_us", "records", "endpoint", "size"])

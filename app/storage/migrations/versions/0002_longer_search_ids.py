"""Room for the ads library's search ids, which are opaque text of any length.

Revision 0002, after 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("search") as search:
        search.alter_column("upstream_id", type_=sa.Text(), existing_nullable=False)

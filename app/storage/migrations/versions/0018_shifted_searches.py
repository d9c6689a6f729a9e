"""From where on a search takes the place of a forgotten one, and how it counts its places differently.

Revision 0018, after 0017.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("seam", "shift"):
        op.add_column("search", sa.Column(name, sa.Integer(), nullable=False, server_default="0"))

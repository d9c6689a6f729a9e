"""Forms that wait while their sender proves anew, at the institution, who they are.

Revision 0028, after 0027.
"""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("console_sign_in", sa.Column("kept", sa.LargeBinary(), nullable=True))

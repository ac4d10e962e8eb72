"""What a session's code may reach and see, and whether it works in place."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("sessions", sa.Column("in_place", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("sessions", sa.Column("hosts", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("sessions", sa.Column("granted", sa.JSON(), nullable=False, server_default="[]"))

"""Sessions say what is possible in them, and when a person is asked."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    for name in ("access", "asking"):
        op.add_column("sessions", sa.Column(name, sa.String(), nullable=False, server_default=""))

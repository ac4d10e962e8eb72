"""Events of one type are found without a look at the others."""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.create_index("ix_events_session_type", "events", ["session", "type", "seq"])

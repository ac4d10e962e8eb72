"""Responses are found by their owners, so that the oldest can go."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_index("ix_responses_owner", "responses", ["owner", "created"])

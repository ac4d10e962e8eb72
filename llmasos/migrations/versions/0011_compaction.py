"""Conversations whose older turns are told in short."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "compactions",
        sa.Column("session", sa.String(), sa.ForeignKey("sessions.id"), primary_key=True),
        sa.Column("turn", sa.Integer(), primary_key=True),
        sa.Column("entries", sa.Text(), nullable=False),
    )

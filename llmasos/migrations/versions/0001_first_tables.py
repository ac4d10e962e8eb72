"""The first tables: sessions, turns, events, and the ledger."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "turns",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("session", sa.String(), sa.ForeignKey("sessions.id"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("messages", sa.Text(), nullable=False),
        sa.Column("usage", sa.Text(), nullable=False),
    )
    op.create_index("ix_turns_session", "turns", ["session"])
    op.create_table(
        "events",
        sa.Column("session", sa.String(), sa.ForeignKey("sessions.id"), primary_key=True),
        sa.Column("seq", sa.Integer(), primary_key=True),
        sa.Column("turn", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
    )
    op.create_index("ix_events_session_turn", "events", ["session", "turn"])
    op.create_table(
        "ledger_records",
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("session", sa.String(200), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("action", sa.String(200), nullable=False),
        sa.Column("tool", sa.String(200), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("head", sa.String(64), nullable=False),
        sa.UniqueConstraint("session", "seq"),
    )
    op.create_index("ix_ledger_records_action", "ledger_records", ["action"])
    op.create_table(
        "ledger_outbox",
        sa.Column("account", sa.String(42), primary_key=True),
        sa.Column("chain_id", sa.BigInteger(), primary_key=True),
        sa.Column("nonce", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("contract", sa.String(42), nullable=False),
        sa.Column("call", sa.String(8), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("tx_hash", sa.String(66), nullable=False),
        sa.Column("state", sa.String(9), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
    )
    op.create_index("ix_ledger_outbox_state", "ledger_outbox", ["state"])
    op.create_index("ix_ledger_outbox_number", "ledger_outbox", ["number"])


def downgrade() -> None:
    for table in ("ledger_outbox", "ledger_records", "events", "turns", "sessions"):
        op.drop_table(table)

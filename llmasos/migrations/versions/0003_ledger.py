"""Records whose bodies can be erased, several records in a transaction, several attempts at it, and anchors.

Records are sealed anew, as their digests are made of other things. The outbox begins anew, so all of them go
to a new contract.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

from llmasos.ledger._digest import (
    FIRST_HEAD,
    SALT_BYTES,
    body_digest,
    next_head,
    record_digest,
    session_key,
)
from llmasos.ledger._types import kind_number

revision = "0003"
down_revision = "0002"

CHUNK = 1000


def upgrade() -> None:
    op.drop_index("ix_ledger_records_action", "ledger_records")
    op.rename_table("ledger_records", "ledger_records_before")
    records = op.create_table(
        "ledger_records",
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("session", sa.String(200), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("action", sa.String(200), nullable=False),
        sa.Column("tool", sa.String(200), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("body_salt", sa.LargeBinary(), nullable=True),
        sa.Column("body_digest", sa.String(64), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("head", sa.String(64), nullable=False),
        sa.Column("route", sa.String(7), nullable=False),
        sa.UniqueConstraint("session", "seq"),
    )
    op.create_index("ix_ledger_records_action", "ledger_records", ["action"])
    op.create_index("ix_ledger_records_route", "ledger_records", ["route", "number"])
    connection = op.get_bind()
    for rows in _sealed(connection):
        connection.execute(sa.insert(records), rows)
    op.drop_table("ledger_records_before")
    op.drop_table("ledger_outbox")
    op.create_table(
        "ledger_outbox",
        sa.Column("account", sa.String(42), primary_key=True),
        sa.Column("chain_id", sa.BigInteger(), primary_key=True),
        sa.Column("nonce", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("attempt", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("contract", sa.String(42), nullable=False),
        sa.Column("call", sa.String(8), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("tx_hash", sa.String(66), nullable=False),
        sa.Column("state", sa.String(9), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("block_hash", sa.String(66), nullable=False),
        sa.Column("cost", sa.String(40), nullable=False),
    )
    op.create_index("ix_ledger_outbox_state", "ledger_outbox", ["state"])
    op.create_index("ix_ledger_outbox_number", "ledger_outbox", ["number"])
    op.create_table(
        "ledger_anchors",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("target", sa.String(400), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("records", sa.Integer(), nullable=False),
        sa.Column("history", sa.String(64), nullable=False),
        sa.Column("chain_id", sa.BigInteger(), nullable=False),
        sa.Column("contract", sa.String(42), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("block_hash", sa.String(66), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("receipt", sa.LargeBinary(), nullable=False),
    )


def _sealed(connection: sa.Connection) -> Iterator[list[dict[str, Any]]]:
    """Return the records of before, sealed anew, some at a time."""
    heads: dict[str, bytes] = {}
    query = sa.text(
        "SELECT number, session, seq, kind, action, tool, at, body FROM ledger_records_before "
        "WHERE number > :after ORDER BY number LIMIT :most"
    )
    after = 0
    while rows := connection.execute(query, {"after": after, "most": CHUNK}).mappings().all():
        sealed = []
        for row in rows:
            fields = dict(row)
            body = fields.pop("body")
            salt, body_salt = os.urandom(SALT_BYTES), os.urandom(SALT_BYTES)
            held = body_digest(body, body_salt).hex()
            digest = record_digest(**fields, body_digest=held, salt=salt)
            session, number = row["session"], kind_number(row["kind"])
            prev = heads.get(session, FIRST_HEAD)
            heads[session] = next_head(session_key(session), row["seq"], prev, digest, number)
            sealed.append(
                {
                    **fields,
                    "body": body,
                    "body_salt": body_salt,
                    "body_digest": held,
                    "salt": salt,
                    "digest": digest.hex(),
                    "head": heads[session].hex(),
                    "route": "session",
                }
            )
        yield sealed
        after = rows[-1]["number"]

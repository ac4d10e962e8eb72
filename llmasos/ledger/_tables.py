"""The ledger's tables: the records, the transactions that carry them, and the anchors outside."""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, Integer, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from llmasos.store import Base


class RecordRow(Base):
    """A record with what its digest is made of; `number` counts all records from 1 without gaps.

    `body` and `body_salt` are NULL once the body was erased. `route` is `session` or `tree`.
    """

    __tablename__ = "ledger_records"
    __table_args__ = (
        UniqueConstraint("session", "seq"),
        Index("ix_ledger_records_route", "route", "number"),
    )

    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    session: Mapped[str] = mapped_column(String(200))
    seq: Mapped[int] = mapped_column(Integer)
    kind: Mapped[str] = mapped_column(String(16))
    action: Mapped[str] = mapped_column(String(200), index=True)
    tool: Mapped[str] = mapped_column(String(200))
    at: Mapped[str] = mapped_column(String(32))
    body: Mapped[str | None] = mapped_column(Text)
    body_salt: Mapped[bytes | None] = mapped_column(LargeBinary)
    body_digest: Mapped[str] = mapped_column(String(64))
    salt: Mapped[bytes] = mapped_column(LargeBinary)
    digest: Mapped[str] = mapped_column(String(64))
    head: Mapped[str] = mapped_column(String(64))
    route: Mapped[str] = mapped_column(String(7))


class OutboxRow(Base):
    """A signed transaction; its bytes are stored before they are sent, and sent again unchanged.

    Args:
        attempt: From 0; a later one offers a higher fee for the same call with the same nonce.
        call: `deploy`, `open`, `append`, `many`, `anchor`, `rotate` or `fund`.
        number: The first record that it carries, or that it opens the session for; 0 when it carries none.
        count: How many records it carries: consecutive ones of a session (`append`, `many`), or of all those
            whose route is `tree` (`anchor`).
        state: `pending`, `confirmed`, `failed` with the reason in `error`, or `replaced` by another attempt.
        block: The block that holds it, and its hash; 0 and empty while it is not mined.
    """

    __tablename__ = "ledger_outbox"
    __table_args__ = (Index("ix_ledger_outbox_state", "state"), Index("ix_ledger_outbox_number", "number"))

    account: Mapped[str] = mapped_column(String(42), primary_key=True)
    chain_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    nonce: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    attempt: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    contract: Mapped[str] = mapped_column(String(42))
    call: Mapped[str] = mapped_column(String(8))
    number: Mapped[int] = mapped_column(Integer)
    count: Mapped[int] = mapped_column(Integer)
    raw: Mapped[bytes] = mapped_column(LargeBinary)
    tx_hash: Mapped[str] = mapped_column(String(66))
    state: Mapped[str] = mapped_column(String(9))
    error: Mapped[str] = mapped_column(Text, default="")
    block: Mapped[int] = mapped_column(BigInteger, default=0)
    block_hash: Mapped[str] = mapped_column(String(66), default="")
    cost: Mapped[str] = mapped_column(String(40), default="0")


class AnchorRow(Base):
    """A statement about the ledger that was put outside, and what came back.

    Args:
        target: Where it was put, as it is configured.
        records: How many records it covers, from the first.
        history: The hash over all of their digests in the order of their numbers, in hexadecimal.
        block: A block of the chain that holds them all, and its hash.
        digest: What was put outside: the SHA-256 of the statement, in hexadecimal.
        receipt: What proves it, as the kind of target needs it.
    """

    __tablename__ = "ledger_anchors"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    target: Mapped[str] = mapped_column(String(400))
    at: Mapped[str] = mapped_column(String(32))
    records: Mapped[int] = mapped_column(Integer)
    history: Mapped[str] = mapped_column(String(64))
    chain_id: Mapped[int] = mapped_column(BigInteger)
    contract: Mapped[str] = mapped_column(String(42))
    block: Mapped[int] = mapped_column(BigInteger)
    block_hash: Mapped[str] = mapped_column(String(66))
    digest: Mapped[str] = mapped_column(String(64))
    receipt: Mapped[bytes] = mapped_column(LargeBinary)

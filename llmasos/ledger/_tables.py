"""The ledger's tables: the records, and the transactions that carry them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, Integer, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from llmasos.store import Base


class RecordRow(Base):
    """A record with what its digest is made of; `number` counts all records from 1 without gaps."""

    __tablename__ = "ledger_records"
    __table_args__ = (UniqueConstraint("session", "seq"),)

    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    session: Mapped[str] = mapped_column(String(200))
    seq: Mapped[int] = mapped_column(Integer)
    kind: Mapped[str] = mapped_column(String(16))
    action: Mapped[str] = mapped_column(String(200), index=True)
    tool: Mapped[str] = mapped_column(String(200))
    at: Mapped[str] = mapped_column(String(32))
    body: Mapped[str] = mapped_column(Text)
    salt: Mapped[bytes] = mapped_column(LargeBinary)
    digest: Mapped[str] = mapped_column(String(64))
    head: Mapped[str] = mapped_column(String(64))


class OutboxRow(Base):
    """A signed transaction; its bytes are stored before they are sent, and sent again unchanged.

    `call` is `deploy`, `open` or `append`; `number` is the record that it carries, or that it opens the
    session for, and 0 for a deployment. `state` is `pending`, `confirmed`, or `failed` with the reason in
    `error`.
    """

    __tablename__ = "ledger_outbox"
    __table_args__ = (Index("ix_ledger_outbox_state", "state"), Index("ix_ledger_outbox_number", "number"))

    account: Mapped[str] = mapped_column(String(42), primary_key=True)
    chain_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    nonce: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    contract: Mapped[str] = mapped_column(String(42))
    call: Mapped[str] = mapped_column(String(8))
    number: Mapped[int] = mapped_column(Integer)
    raw: Mapped[bytes] = mapped_column(LargeBinary)
    tx_hash: Mapped[str] = mapped_column(String(66))
    state: Mapped[str] = mapped_column(String(9))
    error: Mapped[str] = mapped_column(Text, default="")

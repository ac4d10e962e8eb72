"""The tables of keys: what they open, what they have used, and whose sessions are whose."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Float, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from llmasos.store import Base


class KeyRow(Base):
    """A key; of its secret only the SHA-256 is held. Times are ISO 8601 in UTC."""

    __tablename__ = "keys"

    id: Mapped[str] = mapped_column(String(20), primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    digest: Mapped[str] = mapped_column(String(64))
    scopes: Mapped[list[str]] = mapped_column(JSON)
    models: Mapped[list[str]] = mapped_column(JSON)
    requests_per_minute: Mapped[int | None] = mapped_column(BigInteger)
    tokens_per_minute: Mapped[int | None] = mapped_column(BigInteger)
    tokens_per_day: Mapped[int | None] = mapped_column(BigInteger)
    budget: Mapped[float | None] = mapped_column(Float)
    priority: Mapped[str] = mapped_column(String(11))
    created: Mapped[str] = mapped_column(String(32))
    expires: Mapped[str | None] = mapped_column(String(32))
    revoked: Mapped[str | None] = mapped_column(String(32))
    last_used: Mapped[str | None] = mapped_column(String(32))


class KeyUsageRow(Base):
    """What one model did for a key on one day of UTC; `cost` is in the currency of the prices."""

    __tablename__ = "key_usage"

    key: Mapped[str] = mapped_column(ForeignKey("keys.id"), primary_key=True)
    day: Mapped[str] = mapped_column(String(10), primary_key=True)
    model: Mapped[str] = mapped_column(String(200), primary_key=True)
    calls: Mapped[int] = mapped_column(BigInteger)
    input_tokens: Mapped[int] = mapped_column(BigInteger)
    output_tokens: Mapped[int] = mapped_column(BigInteger)
    cost: Mapped[float] = mapped_column(Float)


class KeySessionRow(Base):
    """The key that began a session; sessions of the machine's own user have none."""

    __tablename__ = "key_sessions"

    session: Mapped[str] = mapped_column(ForeignKey("sessions.id"), primary_key=True)
    key: Mapped[str] = mapped_column(ForeignKey("keys.id"), index=True)

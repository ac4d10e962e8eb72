"""Tables of sessions, their turns and their event streams."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, DateTime, ForeignKey, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from llmasos.store import Base


class SessionRow(Base):
    """A session on a folder.

    A fork goes on from a turn of its parent, whose events up to `parent_seq` are its own beginning. `turns`
    and `usage` are those of its own turns together.
    """

    __tablename__ = "sessions"

    id: Mapped[str] = mapped_column(primary_key=True)
    folder: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text, default="")
    model: Mapped[str] = mapped_column(default="")
    created: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    updated: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    in_place: Mapped[bool] = mapped_column(default=False)
    hosts: Mapped[list[str]] = mapped_column(JSON, default=list)
    granted: Mapped[list[str]] = mapped_column(JSON, default=list)
    access: Mapped[str] = mapped_column(default="")
    asking: Mapped[str] = mapped_column(default="")
    parent: Mapped[str] = mapped_column(default="")
    parent_turn: Mapped[int] = mapped_column(default=0)
    parent_seq: Mapped[int] = mapped_column(default=0)
    turns: Mapped[int] = mapped_column(default=0)
    usage: Mapped[str] = mapped_column(Text, default="")


class TurnRow(Base):
    """A person's request; `status` stays empty until the turn has ended."""

    __tablename__ = "turns"

    id: Mapped[str] = mapped_column(primary_key=True)
    session: Mapped[str] = mapped_column(ForeignKey("sessions.id"), index=True)
    number: Mapped[int]
    status: Mapped[str] = mapped_column(default="")
    messages: Mapped[str] = mapped_column(Text, default="")
    usage: Mapped[str] = mapped_column(Text, default="")


class EventRow(Base):
    """One stored event of a session's stream."""

    __tablename__ = "events"

    session: Mapped[str] = mapped_column(ForeignKey("sessions.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    turn: Mapped[str] = mapped_column(default="")
    type: Mapped[str]
    body: Mapped[str] = mapped_column(Text)

    __table_args__ = (
        Index("ix_events_session_turn", "session", "turn"),
        Index("ix_events_session_type", "session", "type", "seq"),
    )


class SearchRow(Base):
    """An event whose words stand in the full-text index `search_words`, under the row's id."""

    __tablename__ = "search"

    id: Mapped[int] = mapped_column(primary_key=True)
    session: Mapped[str]
    seq: Mapped[int]


class MemoryRow(Base):
    """Something to be remembered in a folder, or everywhere where that is empty, by whoever asked for it."""

    __tablename__ = "memory"

    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(default="")
    folder: Mapped[str] = mapped_column(Text, default="")
    text: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))

    __table_args__ = (Index("ix_memory_owner", "owner", "folder"),)


class CompactionRow(Base):
    """What stands for the turns of a conversation up to a number."""

    __tablename__ = "compactions"

    session: Mapped[str] = mapped_column(ForeignKey("sessions.id"), primary_key=True)
    turn: Mapped[int] = mapped_column(primary_key=True)
    entries: Mapped[str] = mapped_column(Text)

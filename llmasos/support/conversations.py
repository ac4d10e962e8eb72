"""Conversations of visitors, in one SQLite file, so that none is lost when the desk stops."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from llmasos.sqlite import SqliteFile

Author = Literal["visitor", "documents", "person", "desk"]
State = Literal["open", "waiting", "closed"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS conversations (
    id TEXT PRIMARY KEY, state TEXT NOT NULL, begun TEXT NOT NULL, changed TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS messages (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    conversation TEXT NOT NULL REFERENCES conversations ON DELETE CASCADE,
    author TEXT NOT NULL, text TEXT NOT NULL, citations TEXT NOT NULL, at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS ix_messages_conversation ON messages (conversation);
"""
_KEPT = timedelta(days=30)


@dataclass(frozen=True)
class Message:
    """What somebody said; `number` grows with time over all conversations."""

    number: int
    author: Author
    text: str
    citations: Sequence[str]
    at: str


@dataclass(frozen=True)
class Conversation:
    """One visitor's conversation; whoever knows its id may read it and go on with it.

    Args:
        state: `waiting` for a person, whom the visitor has asked for.
    """

    id: str
    state: State
    changed: str
    messages: Sequence[Message] = ()


class Conversations:
    """All conversations of a desk; its methods block.

    Args:
        path: The file, which is made where there is none.
    """

    def __init__(self, path: Path) -> None:
        self._file = SqliteFile(path, _SCHEMA)
        with self._file.transaction() as db:
            db.execute(
                "DELETE FROM conversations WHERE changed < ?", ((datetime.now(UTC) - _KEPT).isoformat(),)
            )

    def begin(self) -> str:
        """Begin a conversation and return its id, which nobody can guess."""
        key = secrets.token_urlsafe(18)
        with self._file.transaction() as db:
            db.execute("INSERT INTO conversations VALUES (?, 'open', ?, ?)", (key, _now(), _now()))
        return key

    def add(self, conversation: str, author: Author, text: str, citations: Sequence[str] = ()) -> None:
        """Add a message."""
        with self._file.transaction() as db:
            row = (conversation, author, text, json.dumps(list(citations)), _now())
            db.execute(
                "INSERT INTO messages (conversation, author, text, citations, at) VALUES (?, ?, ?, ?, ?)", row
            )
            db.execute("UPDATE conversations SET changed = ? WHERE id = ?", (_now(), conversation))

    def move(self, conversation: str, state: State) -> None:
        """Change a conversation's state."""
        with self._file.transaction() as db:
            db.execute(
                "UPDATE conversations SET state = ?, changed = ? WHERE id = ?", (state, _now(), conversation)
            )

    def get(self, conversation: str, after: int = 0) -> Conversation | None:
        """Return a conversation with its messages after a number; None where there is none."""
        with self._file.transaction() as db:
            row = db.execute(
                "SELECT id, state, changed FROM conversations WHERE id = ?", (conversation,)
            ).fetchone()
            if row is None:
                return None
            found = db.execute(
                "SELECT number, author, text, citations, at FROM messages "
                "WHERE conversation = ? AND number > ? ORDER BY number",
                (conversation, after),
            ).fetchall()
        messages = [Message(number, author, text, json.loads(c), at) for number, author, text, c, at in found]
        key, state, changed = row
        return Conversation(key, state, changed, messages)

    def waiting(self) -> list[Conversation]:
        """Return the conversations that wait for a person, the oldest first, with all messages."""
        with self._file.transaction() as db:
            query = "SELECT id FROM conversations WHERE state = 'waiting' ORDER BY changed"
            rows = db.execute(query).fetchall()
        found = (self.get(key) for (key,) in rows)
        return [each for each in found if each is not None]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")

"""Sessions can be searched by the words in them."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy as sa
from alembic import context, op

revision = "0009"
down_revision = "0008"

_TEXTS = {
    "turn_started": "text",
    "turn_steered": "text",
    "assistant_text": "text",
    "approval_resolved": "why",
    "action_finished": "result",
}
_KINDS = (*_TEXTS, "action_started")
_AT_ONCE = 500
_TOLD_EACH = 5000
_RUN = re.compile(r"([\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+)|([^\W_]+)")


def upgrade() -> None:
    op.create_table(
        "search",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("session", sa.String(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
    )
    connection = op.get_bind()
    if connection.dialect.name != "sqlite":
        return
    connection.execute(
        sa.text(
            "CREATE VIRTUAL TABLE search_words USING fts5(words, content='', tokenize='porter unicode61')"
        )
    )
    query = sa.text(
        "SELECT session, seq, type, body FROM events WHERE (session, seq) > (:session, :seq) "
        "ORDER BY session, seq LIMIT :most"
    )
    progress: Callable[[str], None] = context.config.attributes.get("progress", lambda text: None)
    total = connection.execute(sa.text("SELECT COUNT(*) FROM events")).scalar_one()
    place, number, done = ("", 0), 0, 0
    while rows := connection.execute(
        query, {"session": place[0], "seq": place[1], "most": _AT_ONCE}
    ).fetchall():
        if done % _TOLD_EACH == 0:
            progress(f"Past sessions are made searchable: {done:,} of {total:,} events.")
        done += len(rows)
        place = rows[-1][0], rows[-1][1]
        for session, seq, kind, body in rows:
            text = _text(kind, body)
            if not text.strip():
                continue
            number += 1
            values = {"id": number, "session": session, "seq": seq, "words": _words(text)}
            connection.execute(sa.text("INSERT INTO search VALUES (:id, :session, :seq)"), values)
            connection.execute(
                sa.text("INSERT INTO search_words (rowid, words) VALUES (:id, :words)"), values
            )


def _text(kind: str, body: str) -> str:
    if kind not in _KINDS:
        return ""
    try:
        event = json.loads(body)
    except ValueError:
        return ""
    if kind == "action_started":
        return " ".join((str(event.get("tool", "")), *_texts(event.get("arguments"))))
    return str(event.get(_TEXTS[kind], ""))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def _words(text: str) -> str:
    """Return a text's words as they are indexed with this schema: of Chinese and the like, pairs of signs."""
    words: list[str] = []
    ends: dict[str, None] = {}
    for dense, word in _RUN.findall(unicodedata.normalize("NFKC", text).casefold()):
        if word or len(dense) == 1:
            words.append(word or dense)
            continue
        words += [dense[at : at + 2] for at in range(len(dense) - 1)]
        ends[dense[-1]] = None
    return " ".join((*words, *ends))

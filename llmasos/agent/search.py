"""Search: past sessions by the words that were said, written and found in them."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence

from sqlalchemy import select, text, tuple_
from sqlalchemy.orm import Session as Transaction

from llmasos.agent._tables import EventRow, SearchRow, SessionRow, TurnRow
from llmasos.agent.values import texts
from llmasos.api import Mark, SearchHit, SearchKind
from llmasos.errors import ConfigError, SessionError
from llmasos.events import (
    EVENT,
    ActionFinished,
    ActionStarted,
    ApprovalResolved,
    AssistantText,
    Event,
    TurnStarted,
    TurnSteered,
)
from llmasos.knowledge.words import indexed, phrases
from llmasos.store import Store

_LONGEST_QUERY = 1000
_MOST_PHRASES = 32
_FOR_EACH = 8
_AROUND = 80
_LEAST_STEM = 4
_LONGEST_ENDING = 5

_FIND = text(
    "SELECT search.session, search.seq FROM search_words JOIN search ON search.id = search_words.rowid "
    "WHERE search_words MATCH :words AND (:all OR search.session IN (SELECT value FROM json_each(:mine))) "
    "ORDER BY search_words.rank, search.id DESC LIMIT :most"
)
_WORDS = text("INSERT INTO search_words (rowid, words) VALUES (:id, :words)")


def searchable(event: Event) -> tuple[SearchKind, str] | None:
    """Return what an event holds that is searched, and what that is; None when there is nothing."""
    match event:
        case TurnStarted(text=said):
            return "request", said
        case TurnSteered(text=said) | ApprovalResolved(why=said):
            return "word", said
        case AssistantText(text=said):
            return "answer", said
        case ActionStarted():
            return "call", " ".join((event.tool, *texts(event.arguments)))
        case ActionFinished(result=said):
            return "result", said
    return None


def note(transaction: Transaction, session: str, event: Event) -> None:
    """Have an event found from now on, once the transaction is done."""
    found = searchable(event)
    if found is None or not found[1].strip():
        return
    row = SearchRow(session=session, seq=event.seq)
    transaction.add(row)
    transaction.flush()
    transaction.execute(_WORDS, {"id": row.id, "words": indexed(found[1])})


async def search_sessions(
    store: Store, query: str, limit: int = 20, sessions: Sequence[str] | None = None
) -> list[SearchHit]:
    """Return where words stand in past sessions, the best places first, each turn once.

    Args:
        store: The database.
        query: Words that all have to stand there; none of them is an operator.
        limit: How many at most.
        sessions: The only ones that are looked through; None for all.

    Raises:
        SessionError: There is no word in it.
        ConfigError: The database cannot be searched.
    """
    wanted = phrases(query[:_LONGEST_QUERY])[:_MOST_PHRASES]
    if not wanted:
        raise SessionError("There is no word to search for.", hint="Name words that stand in what you seek.")
    if not store.sqlite:
        raise ConfigError(
            "Sessions can be searched in SQLite's databases only.", hint="Leave LLMASOS_DATABASE_URL out."
        )
    values = {
        "words": " ".join(wanted),
        "all": sessions is None,
        "mine": json.dumps(list(sessions or ())),
        "most": limit * _FOR_EACH,
    }

    def find(transaction: Transaction) -> list[SearchHit]:
        places = [(session, seq) for session, seq in transaction.execute(_FIND, values)]
        rows = select(EventRow).where(tuple_(EventRow.session, EventRow.seq).in_(places))
        events = {(row.session, row.seq): row for row in transaction.scalars(rows)}
        chosen: dict[tuple[str, str], EventRow] = {}
        for row in filter(None, map(events.get, places)):
            chosen.setdefault((row.session, row.turn), row)
        return [_hit(transaction, row, query) for row in list(chosen.values())[:limit]]

    return await store.read(find)


def _hit(transaction: Transaction, row: EventRow, query: str) -> SearchHit:
    event = EVENT.validate_json(row.body)
    found = searchable(event)
    assert found is not None
    snippet, marks = excerpt(found[1], query)
    session = transaction.get_one(SessionRow, row.session)
    turn = transaction.get(TurnRow, row.turn)
    return SearchHit(
        session=row.session,
        title=session.title,
        folder=session.folder,
        turn=row.turn,
        number=turn.number if turn is not None else 0,
        seq=row.seq,
        at=event.at,
        kind=found[0],
        snippet=snippet,
        marks=marks,
    )


def excerpt(whole: str, query: str) -> tuple[str, tuple[Mark, ...]]:
    """Return a part of a text around words of a query, on one line, and where in it they stand."""
    line = " ".join(unicodedata.normalize("NFKC", whole).split())
    needles = [found for word in _words(query) if (found := _needle(line, word))]
    first = min((match.start() for one in needles if (match := one.search(line))), default=0)
    start, end = max(0, first - _AROUND), min(len(line), first + 2 * _AROUND)
    before, after = "…" if start else "", "…" if end < len(line) else ""
    shown = f"{before}{line[start:end]}{after}"
    marks = sorted({match.span() for one in needles for match in one.finditer(shown)})
    apart = [mark for at, mark in enumerate(marks) if at == 0 or mark[0] >= marks[at - 1][1]]
    return shown, tuple(Mark(start=begin, end=stop) for begin, stop in apart)


def _words(query: str) -> list[str]:
    plain = unicodedata.normalize("NFKC", query[:_LONGEST_QUERY])
    return [word for word in re.split(r"[\W_]+", plain) if word][:_MOST_PHRASES]


def _needle(line: str, word: str) -> re.Pattern[str] | None:
    """Return what finds a word, or another form of it, in a line; None where it does not stand there."""
    shortest = min(len(word), max(_LEAST_STEM, len(word) - _LONGEST_ENDING))
    for length in range(len(word), shortest - 1, -1):
        pattern = re.compile(re.escape(word[:length]), re.IGNORECASE)
        if pattern.search(line):
            return pattern
    return None

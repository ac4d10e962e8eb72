"""Checking the records against each other: contents, digests, links, places and erasures."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from json.encoder import encode_basestring as quoted
from typing import Any

from llmasos.ledger._digest import (
    BODY_TAG,
    FIRST_HEAD,
    HISTORY_TAG,
    RECORD_TAG,
    SALT_BYTES,
    body_digest,
    next_head,
    session_key,
)
from llmasos.ledger._erasures import Erasures
from llmasos.ledger._pages import Pages, Row
from llmasos.ledger._problems import Problems, record_name
from llmasos.ledger._types import KEPT, KINDS, kind_number

PAGE = 250
TAILS = 10_000
ROUTES = ("session", "tree")
UTC, AT_LETTERS = "+00:00", len("2026-01-02T03:04:05.000006+00:00")

_PAGE = (
    "SELECT number, session, seq, kind, action, tool, at, body, body_salt, body_digest, salt, digest, head,"
    " route FROM ledger_records WHERE number > ? AND number <= ? ORDER BY number LIMIT ?"
)
_BEFORE = (
    "SELECT seq, head, route, number FROM ledger_records WHERE session = ? AND seq < ?"
    " ORDER BY seq DESC LIMIT 1"
)
# Text and bytes are greater than every number.
_UNNUMBERED = (
    "SELECT number, session, seq, kind, action FROM ledger_records"
    " WHERE number IS NULL OR number < 1 OR number > 9223372036854775807 LIMIT 10"
)
_UNREADABLE = (TypeError, ValueError, KeyError, AttributeError, OverflowError)


_Tail = tuple[int, bytes | None, bytes, str, int, bytes | None]
"""The newest record of a session: its place, its head, the session's key and route, its number among all
records, and the head that its content gives where another is stored. Plain, as there is one per record."""


class RecordCheck:
    """One pass over the records in the order of their numbers; it holds nothing that grows with them.

    Args:
        wanted: The numbers at which the history is wanted.

    `number` is the newest record checked; `histories` has the running hash over all digests at the numbers
    that are wanted; `erased` counts those without a body.
    """

    def __init__(self, pages: Pages, problems: Problems, wanted: Collection[int] = ()) -> None:
        self._pages, self._problems = pages, problems
        self._wanted = frozenset(wanted)
        self._historic = max(self._wanted, default=0)
        self._tails: dict[str, _Tail] = {}
        self._covered = Erasures(pages)
        self._history = bytes(32)
        self.number = self.checked = self.erased = 0
        self.histories: dict[int, bytes] = {}

    def page(self, last: int) -> bool:
        """Check the next records up to a number, and return whether there may be more.

        What is in order is found so by as few steps as Python allows; all else is left to `_explain`, which
        may still find it in order.
        """
        from sha3 import keccak_256

        rows = self._pages.fetch(_PAGE, self.number, last, PAGE)
        tails, newest = self._tails, self.number
        history, historic = self._history, self._historic
        for row in rows:
            number, session, seq, kind, action, tool, at, body, body_salt, held, salt, digest, head, route = (
                row
            )
            if number != newest + 1:
                self.number = newest
                self._gap(number)
            newest = number
            tail, digested, fits = None, _NOTHING, False
            try:
                tail = tails.get(session)
                if tail is None or tail[0] != seq - 1:
                    tail = self._before(session, seq, route, number)
                _, before, key, way, earlier, _ = tail
                word, named = _WORDS[kind]
                # A time and a hash need no escapes; what is neither fits nothing below.
                content = (
                    f'{{"action":{quoted(action)},"at":"{at}","body":"{held}","kind":{named},'
                    f'"number":{number},"seq":{seq},"session":{_quoted(session)},"tool":{_quoted(tool)}}}'
                )
                digested = sha256(b"".join((RECORD_TAG, salt, content.encode()))).digest()
                # Nothing can be joined to a head that is missing: a TypeError, told apart below.
                parts: Any = (key, seq.to_bytes(32, "big"), before, digested, word)
                link = keccak_256(b"".join(parts)).digest()
                fits = (
                    digested.hex() == digest
                    and link.hex() == head
                    and route == way
                    and route in ROUTES
                    and earlier < number
                    and (
                        sha256(b"".join((BODY_TAG, body_salt, body.encode()))).hexdigest() == held
                        if body is not None
                        else body_salt is None and len(held) == 64 and self._erased(number, kind)
                    )
                    and len(salt) == SALT_BYTES
                    and len(at) == AT_LETTERS
                    and at[10] == "T"
                    and at[-6:] == UTC
                    and 0 < len(session) <= 200 >= len(action)
                    and len(tool) <= 200
                )
                if fits:
                    tails[session] = (seq, link, key, route, number, None)
            except _UNREADABLE:
                fits = False
            if not fits:
                self._explain(row, tail)
            if number <= historic:
                history = sha256(HISTORY_TAG + history + digested).digest()
                if number in self._wanted:
                    self.histories[number] = history
        self.number, self._history = newest, history
        self.checked += len(rows)
        while len(tails) > TAILS:
            del tails[next(iter(tails))]
        return len(rows) == PAGE

    def end(self, last: int) -> None:
        """Report records that are missing after the newest one, and those whose number is none."""
        if self.number < last:
            self._gap(last + 1)
        for number, session, seq, kind, action in self._pages.fetch(_UNNUMBERED):
            name = record_name(session, seq, kind, action)
            self._problems.missing(0, f"{name} was altered: {number!r} is not its number among all records.")

    def _gap(self, number: int) -> None:
        first, end = self.number + 1, number - 1
        if end < first:
            self._problems.missing(
                number, f"Record number {number} of all is in the database more than once."
            )
            return
        which = f"Record number {first}" if first == end else f"Records number {first} to {end}"
        self._problems.missing(
            first, f"{which} of all {'is' if first == end else 'are'} missing from the database."
        )

    def _before(self, session: str, seq: int, route: str, number: int) -> _Tail:
        """Return what a record follows; its head is None when that is missing."""
        key = session_key(session)
        rows = self._pages.fetch(_BEFORE, session, seq) if seq > 1 else []
        if not rows:
            rows = [(0, FIRST_HEAD.hex(), route, 0)]
        found, head, way, earlier = rows[0]
        if not isinstance(earlier, int):
            earlier = 0
        if found == seq - 1 and _is_hash(head):
            return found, bytes.fromhex(head), key, way, earlier, None
        if found != seq - 1:
            for missing in range(max(1, found + 1), min(seq, found + 11)):
                text = f"{record_name(session, missing)} is missing from the database."
                self._problems.missing(min(earlier, number) + 0.5, text)
        return found, None, key, way, earlier, None

    def _erased(self, number: int, kind: str) -> bool:
        self.erased += 1
        return kind not in KEPT and self._covered(number)

    def _explain(self, row: Row, tail: _Tail | None) -> None:
        """Say what is wrong with a record, and find what the next one follows."""
        number, session, seq, kind, action, *_, head, _ = row
        name = record_name(session, seq, kind, action)
        try:
            problem, other = _wrong(row, tail, self._covered)
        except _UNREADABLE as error:
            problem, other = f"was altered: it cannot be read ({error}).", None
        if problem:
            self._problems.record(number, f"{name} {problem}")
        if tail is not None and isinstance(session, str) and isinstance(seq, int):
            given = bytes.fromhex(head) if _is_hash(head) else None
            self._tails[session] = (seq, given or other, tail[2], tail[3], number, other)


def _wrong(row: Row, tail: _Tail | None, covered: Erasures) -> tuple[str, bytes | None]:
    """Return what is wrong with a record, and the head that its content gives."""
    number, session, seq, kind, action, tool, at, body, body_salt, held, salt, digest, head, route = row
    for column, value in (
        ("session", session),
        ("kind", kind),
        ("action", action),
        ("tool", tool),
        ("time", at),
    ):
        if not isinstance(value, str):
            return f"was altered: its {column} is not text.", None
    if not isinstance(salt, bytes) or len(salt) != SALT_BYTES:
        return "was altered: its salt is not 16 bytes.", None
    if tail is None or not isinstance(seq, int) or seq < 1:
        return "was altered: its place in the session is not a number from 1.", None
    _, before, key, way, earlier, instead = tail
    digested, link = "", None
    content = {"number": number, "session": session, "seq": seq, "kind": kind, "action": action, "tool": tool}
    if isinstance(held, str):
        digested = _digest(content, at, held, salt)
    befores = [each for each in (before, instead) if each is not None]

    def follows(digest: str, kind: str) -> bytes | None:
        if not _is_hash(digest):
            return None
        links = [next_head(key, seq, b, bytes.fromhex(digest), kind_number(kind)) for b in befores]
        return next((link for link in links if link.hex() == head), links[0] if links else None)

    link = follows(digested, kind)
    linked = link is None or link.hex() == head
    if digested != digest:
        made = (
            body_digest(body, body_salt).hex()
            if isinstance(body, str) and isinstance(body_salt, bytes)
            else ""
        )
        if made and _digest(content, at, made, salt) == digest:
            return "was altered: the hash of its body is not the one recorded.", follows(digest, kind)
        if link is not None and linked:
            return "has an altered digest in the database; its content is as recorded.", link
        for other in KINDS:
            was = follows(digest, other)
            if other != kind and was is not None and was.hex() == head:
                return f"was altered: it was recorded with the kind {other}.", was
        return "was altered: its body, tool, action, time, place or salt is not what was recorded.", link
    if (body is None) != (body_salt is None):
        return "was altered: only one of its body and the body's salt is there.", link
    if body is None and kind in KEPT:
        return "was altered: its body is missing, and such a body is never erased.", link
    if body is None and not covered(number):
        return "was altered: its body is missing, and no record says that it was erased.", link
    if body is not None:
        if not isinstance(body, str) or not isinstance(body_salt, bytes):
            return "was altered: its body is not text, or the body's salt is not bytes.", link
        if body_digest(body, body_salt).hex() != held:
            return "was altered: its body is not what was recorded.", link
    if not linked:
        return "has an altered link to the record before in the database, or was moved.", link
    if route != way or route not in ROUTES:
        return f"was altered: its route is {route!r}, that of its session {way!r}.", link
    if kind not in KINDS:
        return "was rewritten: there is no such kind.", link
    if earlier >= number:
        return "was moved: it comes before the one it follows.", link
    if not _is_time(at):
        return "was rewritten: its time is none.", link
    if not 0 < len(session) <= 200 >= max(len(action), len(tool)):
        return "was rewritten: its session, action or tool is empty or too long.", link
    return "", link


def _digest(content: dict[str, Any], at: str, held: str, salt: bytes) -> str:
    from llmasos.ledger._digest import record_digest

    return record_digest(**content, at=at, body_digest=held, salt=salt).hex()


def _is_hash(text: object) -> bool:
    return isinstance(text, str) and len(text) == 64 and all(char in "0123456789abcdef" for char in text)


def _is_time(text: str) -> bool:
    try:
        return bool(datetime.fromisoformat(text)) and text.endswith(UTC)
    except ValueError:
        return False


_WORDS = {kind: (number.to_bytes(32, "big"), quoted(kind)) for number, kind in enumerate(KINDS)}
_NOTHING = bytes(32)
_quoted = lru_cache(1_000)(quoted)

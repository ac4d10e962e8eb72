"""A collection: documents and their passages in one SQLite file, found by words and by meaning."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmasos.errors import KnowledgeError
from llmasos.knowledge.passages import Passage
from llmasos.knowledge.words import telling, words
from llmasos.sqlite import SqliteFile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS about (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS documents (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, sha256 TEXT NOT NULL, size INTEGER NOT NULL,
    added TEXT NOT NULL, notes TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS passages (
    id INTEGER PRIMARY KEY, document INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
    heading TEXT NOT NULL, place TEXT NOT NULL, text TEXT NOT NULL, vector BLOB
);
CREATE INDEX IF NOT EXISTS ix_passages_document ON passages (document);
CREATE VIRTUAL TABLE IF NOT EXISTS passage_words USING fts5 (words, tokenize = 'porter unicode61');
"""
_CANDIDATES = 50
# Reciprocal rank fusion, Cormack et al. 2009: what is among the first by both ways comes before all else.
_FUSION = 60


@dataclass(frozen=True)
class DocumentInfo:
    """A document of a collection; `sha256` is of the file that it was read from."""

    name: str
    sha256: str
    size: int
    added: datetime
    passages: int
    notes: str = ""


@dataclass(frozen=True)
class Found:
    """A passage that was found.

    Args:
        document: Its document's name.
        passage: What it says, and where it stands.
        likeness: Cosine of its vector and the question's; 0 where there are no vectors.
        share: How much of what the question is about stands in it, by words that are rare; 0 to 1.
    """

    document: str
    passage: Passage
    likeness: float
    share: float


class Collection:
    """One SQLite file; its methods block.

    Args:
        path: The file, which is made where there is none.
        model: The embedding model's name; empty without one.

    Raises:
        KnowledgeError: It was made with another model, or is no such file.
    """

    def __init__(self, path: Path, model: str) -> None:
        self._vectors: tuple[int, NDArray[np.int64], NDArray[np.float32]] | None = None
        try:
            self._file = SqliteFile(path, _SCHEMA)
            with self._file.transaction() as db:
                begin = (("version", str(_VERSION)), ("model", model), ("changes", "0"))
                db.executemany("INSERT OR IGNORE INTO about VALUES (?, ?)", begin)
                about = dict(db.execute("SELECT key, value FROM about").fetchall())
        except sqlite3.DatabaseError as error:
            raise KnowledgeError(
                f"{path} cannot be read as a collection: {error}.",
                hint="Move it away, and add documents again.",
            ) from error
        if about["model"] != model or about["version"] != str(_VERSION):
            raise KnowledgeError(
                f"The collection {path.stem} was made with the embedding model {about['model'] or 'none'!r}, "
                f"and here is {model or 'none'!r}.",
                hint="Install the extra `knowledge`, or remove the collection and add its documents again.",
            )

    def add(
        self,
        document: DocumentInfo,
        passages: Sequence[Passage],
        vectors: NDArray[np.float32] | None,
    ) -> None:
        """Add a document, or put it in the place of the one with its name."""
        with self._file.transaction() as db:
            _remove(db, document.name)
            row = (document.name, document.sha256, document.size, document.added.isoformat(), document.notes)
            number = db.execute(
                "INSERT INTO documents (name, sha256, size, added, notes) VALUES (?, ?, ?, ?, ?)", row
            ).lastrowid
            for at, passage in enumerate(passages):
                vector = None if vectors is None else vectors[at].tobytes()
                values = (number, passage.heading, passage.place, passage.text, vector)
                key = db.execute(
                    "INSERT INTO passages (document, heading, place, text, vector) VALUES (?, ?, ?, ?, ?)",
                    values,
                ).lastrowid
                said = " ".join(words(f"{document.name} {passage.heading}\n{passage.text}"))
                db.execute("INSERT INTO passage_words (rowid, words) VALUES (?, ?)", (key, said))

    def remove(self, name: str) -> bool:
        """Remove a document; returns whether there was one."""
        with self._file.transaction() as db:
            return _remove(db, name)

    def documents(self) -> list[DocumentInfo]:
        """Return the documents by their names."""
        with self._file.transaction() as db:
            rows = db.execute(
                "SELECT name, sha256, size, added, "
                "(SELECT count(*) FROM passages WHERE document = documents.id), notes "
                "FROM documents ORDER BY name"
            ).fetchall()
        return [
            DocumentInfo(name, sha256, size, datetime.fromisoformat(added), count, notes)
            for name, sha256, size, added, count, notes in rows
        ]

    def search(self, question: str, vector: NDArray[np.float32] | None, most: int) -> list[Found]:
        """Return the passages that fit a question best, by words and by meaning together.

        Args:
            question: In any language.
            vector: The question's; None searches by words only.
            most: How many.
        """
        asked = telling(question)
        with self._file.transaction() as db:
            by_words = _by_words(db, asked)
            likeness = self._by_meaning(db, vector)
            nearest = sorted(likeness, key=lambda key: -likeness[key])[:_CANDIDATES]
            ranks: dict[int, float] = {}
            for ranking in (by_words, nearest):
                for rank, key in enumerate(ranking):
                    ranks[key] = ranks.get(key, 0.0) + 1 / (_FUSION + rank)
            best = sorted(ranks, key=lambda key: -ranks[key])[:most]
            rarity = _rarity(db, asked)
            return [_found(db, key, likeness.get(key, 0.0), asked, rarity) for key in best]

    def _by_meaning(self, db: sqlite3.Connection, vector: NDArray[np.float32] | None) -> dict[int, float]:
        if vector is None:
            return {}
        keys, matrix = self._matrix(db, vector.size)
        if not len(keys):
            return {}
        scores = matrix @ vector
        count = min(_CANDIDATES, len(scores))
        best = scores.argpartition(-count)[-count:]
        return {int(keys[at]): float(scores[at]) for at in best}

    def _matrix(self, db: sqlite3.Connection, size: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return all vectors, which stay in memory until the file changes."""
        import numpy as np

        version = int(db.execute("SELECT value FROM about WHERE key = 'changes'").fetchone()[0])
        if self._vectors is None or self._vectors[0] != version:
            rows = db.execute("SELECT id, vector FROM passages WHERE vector IS NOT NULL").fetchall()
            keys = np.array([key for key, _ in rows], np.int64)
            matrix = np.frombuffer(b"".join(blob for _, blob in rows), np.float32).reshape(len(rows), size)
            self._vectors = version, keys, matrix
        return self._vectors[1:]


def _remove(db: sqlite3.Connection, name: str) -> bool:
    """Remove a document, and count the change that whoever calls makes."""
    db.execute("UPDATE about SET value = CAST(value AS INTEGER) + 1 WHERE key = 'changes'")
    found = db.execute("SELECT id FROM documents WHERE name = ?", (name,)).fetchone()
    if found is None:
        return False
    db.execute("DELETE FROM passage_words WHERE rowid IN (SELECT id FROM passages WHERE document = ?)", found)
    db.execute("DELETE FROM documents WHERE id = ?", found)
    return True


def _by_words(db: sqlite3.Connection, asked: Sequence[str]) -> list[int]:
    if not asked:
        return []
    wanted = " OR ".join(f'"{word}"' for word in asked)
    rows = db.execute(
        "SELECT rowid FROM passage_words WHERE passage_words MATCH ? ORDER BY rank LIMIT ?",
        (wanted, _CANDIDATES),
    )
    return [key for (key,) in rows]


def _rarity(db: sqlite3.Connection, asked: Sequence[str]) -> dict[str, float]:
    """Return how much each word tells: one that stands in every passage tells nothing."""
    total = db.execute("SELECT count(*) FROM passages").fetchone()[0] or 1
    told: dict[str, float] = {}
    for word in asked:
        query = "SELECT count(*) FROM passage_words WHERE passage_words MATCH ?"
        count = db.execute(query, (f'"{word}"',)).fetchone()[0]
        told[word] = math.log((total + 1) / (count + 0.5))
    return told


def _found(
    db: sqlite3.Connection, key: int, likeness: float, asked: Sequence[str], rarity: dict[str, float]
) -> Found:
    row: Any = db.execute(
        "SELECT name, heading, place, text FROM passages JOIN documents ON documents.id = document "
        "WHERE passages.id = ?",
        (key,),
    ).fetchone()
    name, heading, place, text = row
    whole = sum(rarity.values()) or 1.0
    query = "SELECT 1 FROM passage_words WHERE passage_words MATCH ? AND rowid = ?"
    share = sum(rarity[word] for word in asked if db.execute(query, (f'"{word}"', key)).fetchone()) / whole
    return Found(name, Passage(text, heading, place), likeness, share)

"""The collections of a kernel, by their names."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path

from llmasos.errors import KnowledgeError
from llmasos.knowledge.index import Collection, DocumentInfo

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


@dataclass(frozen=True)
class CollectionInfo:
    """A collection, and how much is in it."""

    name: str
    documents: int
    passages: int


class Library:
    """Collections in a folder; its methods block.

    Args:
        folder: Where they lie.
        model: The embedding model's name; empty without one.
    """

    def __init__(self, folder: Path, model: str) -> None:
        self._folder = folder
        self._model = model
        self._open: dict[str, Collection] = {}

    def names(self) -> list[str]:
        """Return the names of all collections."""
        return sorted(path.stem for path in self._folder.glob("*.sqlite"))

    def all(self) -> list[CollectionInfo]:
        """Return all collections with how much is in them."""
        return [self.info(name) for name in self.names()]

    def info(self, name: str) -> CollectionInfo:
        """Return how much is in a collection.

        Raises:
            KnowledgeError: There is none.
        """
        documents = self.get(name).documents()
        return CollectionInfo(name, len(documents), sum(document.passages for document in documents))

    def documents(self, name: str) -> dict[str, DocumentInfo]:
        """Return the documents of a collection by their names; none where there is no collection.

        Raises:
            KnowledgeError: It cannot have this name.
        """
        if _NAME.fullmatch(name) and name not in self.names():
            return {}
        return {one.name: one for one in self.get(name).documents()}

    def get(self, name: str, *, make: bool = False) -> Collection:
        """Return a collection.

        Args:
            name: Its name.
            make: Make it where there is none.

        Raises:
            KnowledgeError: There is none, or it cannot have this name.
        """
        if not _NAME.fullmatch(name):
            raise KnowledgeError(
                f"A collection cannot be named {name!r}.",
                hint="Use up to 40 small letters, digits, hyphens and underscores.",
            )
        path = self._folder / f"{name}.sqlite"
        if not path.exists():
            self._open.pop(name, None)
            if not make:
                there = ", ".join(self.names())
                raise KnowledgeError(
                    f"There is no collection {name!r}.",
                    hint=f"There are: {there}." if there else "Make one: llmasos knowledge add NAME FILES",
                )
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if name not in self._open:
            self._open[name] = Collection(path, self._model)
        return self._open[name]

    def sweep(self, seconds: float) -> None:
        """Remove the collections that nothing was added to for so long."""
        for path in self._folder.glob("*.sqlite"):
            if path.stat().st_mtime < time.time() - seconds:
                self.remove(path.stem)

    def remove(self, name: str) -> None:
        """Remove a collection with all that is in it.

        Raises:
            KnowledgeError: There is none.
        """
        self.get(name)
        self._open.pop(name)
        for suffix in (".sqlite", ".sqlite-wal", ".sqlite-shm"):
            (self._folder / f"{name}{suffix}").unlink(missing_ok=True)

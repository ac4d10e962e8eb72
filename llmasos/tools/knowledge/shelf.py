"""The shelf: documents come in through a sandbox, and passages are found on it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import zip_longest
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from llmasos.config import Settings
from llmasos.errors import KnowledgeError, ToolError
from llmasos.knowledge import (
    Block,
    CollectionInfo,
    DocumentInfo,
    Embedder,
    Found,
    Library,
    Passage,
    passages,
)
from llmasos.sandbox import SandboxProvider, private_sandbox
from llmasos.tools._shipping import program, told_inside

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Record = Callable[..., Awaitable[None]]
"""Records a change: what is done, the collection, and what it is about."""

_MOST_PASSAGES = 200_000
_AT_ONCE = 64
_READ_SECONDS = 600.0
_KEPT_SECONDS = 14 * 86_400.0
_INSIDE = "llmasos.tools.knowledge.inside"


class Shelf:
    """The collections of documents of a kernel.

    Args:
        library: Where they lie.
        read: Where the passages of files are kept that questions were asked of.
        embedder: Finds by meaning; None finds by words only.
        provider: Opens the sandboxes that documents are read in.
        settings: The kernel's.
        record: Records what is added and removed.
    """

    def __init__(
        self,
        library: Library,
        read: Library,
        embedder: Embedder | None,
        provider: SandboxProvider,
        settings: Settings,
        record: Record,
    ) -> None:
        self._library = library
        self._read = read
        self._embedder = embedder
        self._provider = provider
        self._settings = settings
        self._record = record
        self._adding = anyio.Lock()

    async def close(self) -> None:
        """End the embedding model."""
        if self._embedder is not None:
            await self._embedder.close()

    async def add(
        self,
        collection: str,
        name: str,
        data: bytes,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> DocumentInfo:
        """Add a document, or put it in the place of the one with its name; the same one again costs nothing.

        Args:
            collection: Made where there is none.
            name: What people call it; its end says what it is.
            data: The file.
            progress: Told how many passages are done, of how many.

        Raises:
            KnowledgeError: It cannot be read, or the collection cannot have this name.
        """
        name = _named(name)
        sha256 = hashlib.sha256(data).hexdigest()
        async with self._adding:
            there = await anyio.to_thread.run_sync(self._library.documents, collection)
            if (known := there.get(name)) is not None and known.sha256 == sha256:
                return known
            read = await self._read_document(name, data, progress)
            await self._record(event="added", collection=collection, document=name, sha256=sha256)
            shelf = await anyio.to_thread.run_sync(partial(self._library.get, collection, make=True))
            await anyio.to_thread.run_sync(shelf.add, *read)
            return read[0]

    async def remove(self, collection: str, name: str = "") -> None:
        """Remove a document, or the whole collection.

        Raises:
            KnowledgeError: There is none.
        """
        async with self._adding:
            shelf = await anyio.to_thread.run_sync(self._library.get, collection)
            documents = await anyio.to_thread.run_sync(shelf.documents)
            if name and name not in {one.name for one in documents}:
                raise KnowledgeError(
                    f"There is no document {name!r} in {collection}.",
                    hint="See `llmasos knowledge list NAME`.",
                )
            await self._record(event="removed", collection=collection, document=name)
            if name:
                await anyio.to_thread.run_sync(shelf.remove, name)
            else:
                await anyio.to_thread.run_sync(self._library.remove, collection)

    async def collections(self) -> list[CollectionInfo]:
        """Return all collections."""
        return await anyio.to_thread.run_sync(self._library.all)

    async def documents(self, collection: str) -> list[DocumentInfo]:
        """Return the documents of a collection.

        Raises:
            KnowledgeError: There is no such collection.
        """
        shelf = await anyio.to_thread.run_sync(self._library.get, collection)
        return await anyio.to_thread.run_sync(shelf.documents)

    async def search(self, collections: Sequence[str], question: str, most: int) -> list[Found]:
        """Return the passages of some collections that fit a question best, the best first.

        Args:
            collections: Their names; all of them if none are given.
            question: In any language.
            most: How many.

        Raises:
            KnowledgeError: There is no such collection, or none at all.
        """
        names = list(collections) or await anyio.to_thread.run_sync(self._library.names)
        if not names:
            raise KnowledgeError(
                "There are no documents to answer from.", hint="Add some: llmasos knowledge add NAME FILES"
            )
        vector = None if self._embedder is None else await self._embedder.query(question)
        found: list[list[Found]] = []
        for name in names:
            shelf = await anyio.to_thread.run_sync(self._library.get, name)
            found.append(await anyio.to_thread.run_sync(shelf.search, question, vector, most))
        merged = [each for ranked in zip_longest(*found) for each in ranked if each is not None]
        return merged[:most]

    async def search_in(
        self,
        files: Mapping[str, bytes],
        question: str,
        most: int,
        progress: Callable[[str, float, float, str], None] = lambda what, done, total, unit: None,
    ) -> list[Found]:
        """Return the passages of some files that fit a question best; what was read of them is kept a while.

        Args:
            files: What each holds, by its path.
            question: In any language.
            most: How many.
            progress: Told how many files are read, of how many.

        Raises:
            KnowledgeError: None of them can be read.
        """
        digests = sorted((name, hashlib.sha256(data).hexdigest()) for name, data in files.items())
        key = hashlib.sha256(json.dumps(digests).encode("utf-8", "surrogatepass")).hexdigest()[:40]
        async with self._adding:
            await anyio.to_thread.run_sync(self._read.sweep, _KEPT_SECONDS)
            shelf = await anyio.to_thread.run_sync(partial(self._read.get, key, make=True))
            there = {one.name for one in await anyio.to_thread.run_sync(shelf.documents)}
            problems: list[KnowledgeError] = []
            for number, (name, data) in enumerate(sorted(files.items())):
                progress("Reading", number, len(files), "documents")
                if name in there:
                    continue
                try:
                    document = await self._read_document(name, data, lambda done, total: None)
                except KnowledgeError as error:
                    problems.append(error)
                else:
                    await anyio.to_thread.run_sync(shelf.add, *document)
            if len(problems) == len(files):
                raise problems[0]
        vector = None if self._embedder is None else await self._embedder.query(question)
        return await anyio.to_thread.run_sync(shelf.search, question, vector, most)

    async def _read_document(
        self, name: str, data: bytes, progress: Callable[[int, int], None]
    ) -> tuple[DocumentInfo, list[Passage], NDArray[np.float32] | None]:
        """Return what a collection is to hold of a document."""
        pieces, notes = await self.read(name, data)
        texts = [f"{piece.heading}\n{piece.text}".strip() for piece in pieces]
        vectors = None
        if self._embedder is not None:
            import numpy as np

            rows = []
            for at in range(0, len(texts), _AT_ONCE):
                rows.append(await self._embedder.passages(texts[at : at + _AT_ONCE]))
                progress(min(at + _AT_ONCE, len(texts)), len(texts))
            vectors = np.concatenate(rows)
        sha256 = hashlib.sha256(data).hexdigest()
        info = DocumentInfo(name, sha256, len(data), datetime.now(UTC), len(pieces), notes)
        return info, pieces, vectors

    async def read(self, name: str, data: bytes) -> tuple[list[Passage], str]:
        """Return a document's passages, and what a person should know of it; it is read in a sandbox.

        Raises:
            KnowledgeError: It cannot be read.
        """
        inner = f"document{PurePosixPath(name).suffix.lower()}"
        opened = private_sandbox(self._provider, self._settings, {inner: data})
        try:
            async with opened as (sandbox, _):
                code = program(_INSIDE, "document", f"{inner!r}, {name!r}, tell")
                told, _ = await told_inside(
                    sandbox, code, seconds=_READ_SECONDS, smaller=f"Add {name} in parts."
                )
        except ToolError as error:
            raise KnowledgeError(error.message, hint=error.hint) from error
        blocks = (Block(*map(str, block)) for each in told for block in each.get("blocks", ()))
        pieces = list(passages(blocks))
        if len(pieces) > _MOST_PASSAGES:
            raise KnowledgeError(
                f"{name} has more than {_MOST_PASSAGES:,} passages.", hint="Add it in parts."
            )
        return pieces, "; ".join(str(note) for each in told for note in each.get("notes", ()))


def _named(name: str) -> str:
    """Return a document's name, as it is stored and cited."""
    name = " ".join(name.split()).strip("/")
    if not name or len(name) > 300 or not name.isprintable():
        raise KnowledgeError(f"A document cannot be named {name[:80]!r}.", hint="Give it a short name.")
    return name

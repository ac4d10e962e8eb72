"""Knowledge on the wire: collections of documents, and what is added to them."""

from __future__ import annotations

from datetime import datetime

from pydantic import Base64Bytes, Field

from llmasos.api.models import ModelProgress
from llmasos.api.wire import ErrorBody, Wire


class KnowledgeInfo(Wire):
    """A collection, and how much is in it."""

    name: str
    documents: int
    passages: int


class KnowledgeDocument(Wire):
    """A document of a collection.

    Args:
        sha256: Of the file that it was read from.
        size: Of that file, in bytes.
        notes: What could not be read of it.
    """

    name: str
    sha256: str
    size: int
    added: datetime
    passages: int
    notes: str = ""


class DocumentRequest(Wire):
    """Adds a document, or puts it in the place of the one with its name.

    Args:
        name: What people call it, and answers cite; its end says what it is.
        data: The file, in base 64.
    """

    name: str = Field(min_length=1, max_length=300)
    data: Base64Bytes


class KnowledgeRemoval(Wire):
    """Removes a document, or with an empty name the whole collection."""

    document: str = ""


class KnowledgeLine(Wire):
    """One line of an addition as it is streamed: progress, at last the document, or why there is none."""

    progress: ModelProgress | None = None
    document: KnowledgeDocument | None = None
    error: ErrorBody | None = None

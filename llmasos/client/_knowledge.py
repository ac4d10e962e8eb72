"""What both clients ask about collections of documents."""

from __future__ import annotations

import base64
from collections.abc import Callable

from llmasos.api.knowledge import (
    DocumentRequest,
    KnowledgeDocument,
    KnowledgeInfo,
    KnowledgeLine,
    KnowledgeRemoval,
)
from llmasos.api.models import ModelProgress
from llmasos.client._connection import Connection
from llmasos.client._errors import RequestRefused, gone
from llmasos.client._names import path_part

Tell = Callable[[ModelProgress], None]


def _nobody(_: ModelProgress) -> None:
    return None


class KnowledgeCalls:
    """The part of the asynchronous client that is about knowledge."""

    async def collections(self: Connection) -> list[KnowledgeInfo]:
        """Return the collections of documents."""
        return await self.request("GET", "/v1/knowledge", list[KnowledgeInfo])

    async def documents(self: Connection, collection: str) -> list[KnowledgeDocument]:
        """Return the documents of a collection.

        Raises:
            RequestRefused: There is no such collection.
        """
        return await self.request("GET", _place(collection), list[KnowledgeDocument])

    async def add_document(
        self: Connection, collection: str, name: str, data: bytes, progress: Tell = _nobody
    ) -> KnowledgeDocument:
        """Add a document, or put it in the place of the one with its name; the same again costs nothing.

        Args:
            collection: Made where there is none.
            name: What answers cite; its end says what it is, such as `.pdf`.
            data: The file.
            progress: Told how far it is.

        Raises:
            RequestRefused: It cannot be read.
        """
        wanted = DocumentRequest(name=name, data=base64.b64encode(data))
        async with self.stream("POST", _place(collection), body=wanted) as response:
            async for text in response.aiter_lines():
                line = KnowledgeLine.model_validate_json(text)
                if line.error is not None:
                    raise RequestRefused(line.error)
                if line.document is not None:
                    return line.document
                if line.progress is not None:
                    progress(line.progress)
        raise gone()

    async def remove_knowledge(self: Connection, collection: str, document: str = "") -> None:
        """Remove a document, or without one the whole collection.

        Raises:
            RequestRefused: There is none.
        """
        await self.post(f"{_place(collection)}/remove", KnowledgeRemoval(document=document))


def _place(collection: str) -> str:
    return f"/v1/knowledge/{path_part(collection)}"

"""The HTTP API of knowledge: collections of documents that questions are answered from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llmasos.api.knowledge import (
    DocumentRequest,
    KnowledgeDocument,
    KnowledgeInfo,
    KnowledgeLine,
    KnowledgeRemoval,
)
from llmasos.api.models import ModelProgress
from llmasos.kernel import Kernel
from llmasos.service.access import needs
from llmasos.service.openapi import operation
from llmasos.service.replies import NDJSON, ProgressReply, body, reply

_ONE = "/v1/knowledge/{name}"


def knowledge_routes(kernel: Kernel) -> list[Route]:
    """Return the routes under `/v1/knowledge`; questions are asked in sessions."""
    api = _KnowledgeApi(kernel)
    return needs(
        "admin",
        [
            Route("/v1/knowledge", api.all),
            Route(_ONE, api.documents),
            Route(_ONE, api.add, methods=["POST"]),
            Route(f"{_ONE}/remove", api.remove, methods=["POST"]),
        ],
    )


class _KnowledgeApi:
    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    @operation("List the collections of documents.", answer=KnowledgeInfo, many=True)
    async def all(self, _request: Request) -> Response:
        return reply([KnowledgeInfo(**asdict(one)) for one in await self._kernel.shelf.collections()])

    @operation("List the documents of a collection.", answer=KnowledgeDocument, many=True)
    async def documents(self, request: Request) -> Response:
        found = await self._kernel.shelf.documents(request.path_params["name"])
        return reply([KnowledgeDocument(**asdict(one)) for one in found])

    @operation(
        "Add a document; it is read in a sandbox.", body=DocumentRequest, answer=KnowledgeLine, media=NDJSON
    )
    async def add(self, request: Request) -> Response:
        wanted = await body(request, DocumentRequest)
        collection = request.path_params["name"]

        async def work(tell: Callable[[BaseModel], None]) -> BaseModel:
            def progress(done: int, total: int) -> None:
                what = f"Reading {wanted.name}"
                tell(
                    KnowledgeLine(progress=ModelProgress(what=what, done=done, total=total, unit="passages"))
                )

            info = await self._kernel.shelf.add(collection, wanted.name, wanted.data, progress)
            return KnowledgeLine(document=KnowledgeDocument(**asdict(info)))

        return ProgressReply(work, lambda error: KnowledgeLine(error=error))

    @operation("Remove a document, or a whole collection.", body=KnowledgeRemoval, status=204)
    async def remove(self, request: Request) -> Response:
        wanted = await body(request, KnowledgeRemoval)
        await self._kernel.shelf.remove(request.path_params["name"], wanted.document)
        return Response(status_code=204)

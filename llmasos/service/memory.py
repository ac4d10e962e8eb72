"""The HTTP API of memory: each key, and the machine's own user, has facts of its own."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llmasos.agent import Memory
from llmasos.api import Fact, FactChange, FactRequest
from llmasos.kernel import Kernel
from llmasos.service.access import Access, needs
from llmasos.service.openapi import operation
from llmasos.service.replies import body, reply


def memory_routes(kernel: Kernel) -> list[Route]:
    """Return the routes under `/v1/memory`."""
    api = _MemoryApi(Memory(kernel.store, kernel.redactor))
    return needs(
        "agent",
        [
            Route("/v1/memory", api.list),
            Route("/v1/memory", api.add, methods=["POST"]),
            Route("/v1/memory/{id}", api.edit, methods=["PATCH"]),
            Route("/v1/memory/{id}", api.remove, methods=["DELETE"]),
        ],
    )


class _FolderQuery(BaseModel):
    """Which facts: those that hold in a folder; all without one."""

    folder: str = ""


class _MemoryApi:
    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    @operation("List what is remembered, the newest first.", query=_FolderQuery, answer=Fact, many=True)
    async def list(self, request: Request) -> Response:
        folder = request.query_params.get("folder", "")
        return reply(await self._memory.list(_place(folder) or None, _owner(request)))

    @operation("Remember something.", body=FactRequest, answer=Fact, status=201)
    async def add(self, request: Request) -> Response:
        wanted = await body(request, FactRequest)
        return reply(await self._memory.add(wanted.text, _place(wanted.folder), _owner(request)), status=201)

    @operation("Change what is remembered.", body=FactChange, answer=Fact)
    async def edit(self, request: Request) -> Response:
        text = (await body(request, FactChange)).text
        return reply(await self._memory.edit(request.path_params["id"], text, _owner(request)))

    @operation("Forget something.", status=204)
    async def remove(self, request: Request) -> Response:
        await self._memory.remove(request.path_params["id"], _owner(request))
        return Response(status_code=204)


def _owner(request: Request) -> str:
    access: Access | None = request.state.access
    return access.key_id if access is not None else ""


def _place(folder: str) -> str:
    """Return a folder as sessions name it."""
    return str(Path(folder).resolve()) if folder and "\0" not in folder else ""

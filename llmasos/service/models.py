"""The HTTP API of the models: which there are, where they stand, and what is done with them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llmasos.api import ModelChoice, ModelInfo
from llmasos.api.models import BenchLine, BenchRequest, ModelDetails, ModelLine, ModelProgress, ModelsTop
from llmasos.service.access import needs
from llmasos.service.drain import Drain
from llmasos.service.here import Here
from llmasos.service.openapi import operation
from llmasos.service.replies import NDJSON, ProgressReply, body, query, reply

if TYPE_CHECKING:
    from llmasos.kernel import Kernel
    from llmasos.models import Administration, Progress

_PREFIX = "/v1/kernel/models"


def model_routes(kernel: Kernel, drain: Drain) -> list[Route]:
    """Return the routes under `/v1/kernel/models`, each with what it needs.

    Models are named in bodies and queries, for names have slashes.
    """
    api = _ModelsApi(kernel)
    return [
        *needs("models", [Route(_PREFIX, api.list)]),
        *needs("agent", [Route(f"{_PREFIX}/warm", api.warm, methods=["POST"])], drain),
        *needs("admin", [Route(f"{_PREFIX}/show", api.show), Route(f"{_PREFIX}/top", api.top)]),
        *needs(
            "admin",
            [
                Route(f"{_PREFIX}/{name}", endpoint, methods=["POST"])
                for name, endpoint in (
                    ("pull", api.pull),
                    ("load", api.load),
                    ("unload", api.unload),
                    ("pin", api.pin),
                    ("unpin", api.unpin),
                    ("bench", api.bench),
                )
            ],
            drain,
        ),
    ]


class _ModelsApi:
    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._here = Here(kernel.models)

    @property
    def _administration(self) -> Administration:
        return self._kernel.administration

    @operation("List the models.", answer=ModelInfo, many=True)
    async def list(self, _request: Request) -> Response:
        return reply(self._administration.list())

    @operation("Have a model loaded in the background.", body=ModelChoice, status=204)
    async def warm(self, request: Request) -> Response:
        named = (await body(request, ModelChoice)).model
        self._here.check(request.state.access, named)
        self._kernel.sessions.warm(named)
        return Response(status_code=204)

    @operation("Show a model.", query=ModelChoice, answer=ModelDetails)
    async def show(self, request: Request) -> Response:
        return reply(await self._administration.show(query(request, ModelChoice).model))

    @operation("Show how models share the machine.", answer=ModelsTop)
    async def top(self, _request: Request) -> Response:
        return reply(self._administration.top())

    @operation("Fetch a model.", body=ModelChoice, answer=ModelLine, media=NDJSON)
    async def pull(self, request: Request) -> Response:
        return await self._followed(request, self._administration.pull)

    @operation("Have a model resident.", body=ModelChoice, answer=ModelLine, media=NDJSON)
    async def load(self, request: Request) -> Response:
        return await self._followed(request, self._administration.load)

    @operation("Have a model leave the memory.", body=ModelChoice, status=204)
    async def unload(self, request: Request) -> Response:
        await self._administration.unload((await body(request, ModelChoice)).model)
        return Response(status_code=204)

    @operation("Keep a model resident.", body=ModelChoice, status=204)
    async def pin(self, request: Request) -> Response:
        await self._administration.pin((await body(request, ModelChoice)).model)
        return Response(status_code=204)

    @operation("Let a model go when others need its memory.", body=ModelChoice, status=204)
    async def unpin(self, request: Request) -> Response:
        await self._administration.unpin((await body(request, ModelChoice)).model)
        return Response(status_code=204)

    @operation("Measure a model.", body=BenchRequest, answer=BenchLine, media=NDJSON)
    async def bench(self, request: Request) -> Response:
        wanted = await body(request, BenchRequest)

        async def work(tell: Callable[[BaseModel], None]) -> BaseModel:
            def progress(what: str, done: float, total: float, unit: str) -> None:
                tell(BenchLine(progress=ModelProgress(what=what, done=done, total=total, unit=unit)))

            return BenchLine(report=await self._administration.bench(wanted.model, wanted.limit, progress))

        return ProgressReply(work, lambda error: BenchLine(error=error))

    async def _followed(
        self, request: Request, do: Callable[[str, Progress], Awaitable[ModelDetails]]
    ) -> Response:
        name = (await body(request, ModelChoice)).model

        async def work(tell: Callable[[BaseModel], None]) -> BaseModel:
            def progress(what: str, done: float, total: float, unit: str) -> None:
                tell(ModelLine(progress=ModelProgress(what=what, done=done, total=total, unit=unit)))

            return ModelLine(model=await do(name, progress))

        return ProgressReply(work, lambda error: ModelLine(error=error))

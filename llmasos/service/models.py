"""The HTTP API of the models: which there are, where they stand, and what is done with them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llmasos.api import ModelChoice
from llmasos.api.models import BenchLine, BenchRequest, ModelDetails, ModelLine, ModelProgress
from llmasos.service.replies import ProgressReply, body, query, reply

if TYPE_CHECKING:
    from llmasos.kernel import Kernel
    from llmasos.models import Administration, Progress

_PREFIX = "/v1/kernel/models"


def model_routes(kernel: Kernel) -> list[Route]:
    """Return the routes under `/v1/kernel/models`; models are named in bodies, for names have slashes."""
    api = _ModelsApi(kernel)
    return [
        Route(_PREFIX, api.list),
        Route(f"{_PREFIX}/warm", api.warm, methods=["POST"]),
        Route(f"{_PREFIX}/show", api.show),
        Route(f"{_PREFIX}/top", api.top),
        Route(f"{_PREFIX}/pull", api.pull, methods=["POST"]),
        Route(f"{_PREFIX}/load", api.load, methods=["POST"]),
        Route(f"{_PREFIX}/unload", api.unload, methods=["POST"]),
        Route(f"{_PREFIX}/pin", api.pin, methods=["POST"]),
        Route(f"{_PREFIX}/unpin", api.unpin, methods=["POST"]),
        Route(f"{_PREFIX}/bench", api.bench, methods=["POST"]),
    ]


class _ModelsApi:
    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    @property
    def _administration(self) -> Administration:
        return self._kernel.administration

    async def list(self, _request: Request) -> Response:
        return reply(self._administration.list())

    async def warm(self, request: Request) -> Response:
        self._kernel.sessions.warm((await body(request, ModelChoice)).model)
        return Response(status_code=204)

    async def show(self, request: Request) -> Response:
        return reply(await self._administration.show(query(request, ModelChoice).model))

    async def top(self, _request: Request) -> Response:
        return reply(self._administration.top())

    async def pull(self, request: Request) -> Response:
        return await self._followed(request, self._administration.pull)

    async def load(self, request: Request) -> Response:
        return await self._followed(request, self._administration.load)

    async def unload(self, request: Request) -> Response:
        await self._administration.unload((await body(request, ModelChoice)).model)
        return Response(status_code=204)

    async def pin(self, request: Request) -> Response:
        await self._administration.pin((await body(request, ModelChoice)).model)
        return Response(status_code=204)

    async def unpin(self, request: Request) -> Response:
        await self._administration.unpin((await body(request, ModelChoice)).model)
        return Response(status_code=204)

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

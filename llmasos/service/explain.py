"""The HTTP API of explanations."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llmasos.api.explaining import Explanation
from llmasos.kernel import Kernel
from llmasos.service.access import Access, Owners
from llmasos.service.openapi import operation
from llmasos.service.replies import reply

_LOOKED_THROUGH = 10_000


def explain_routes(kernel: Kernel) -> list[Route]:
    """Return the routes under `/v1/explanations`."""
    api = _ExplanationsApi(kernel)
    return [Route("/v1/explanations/{id:path}", api.explain)]


class _ExplanationsApi:
    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._owners = Owners(kernel.store)

    @operation("Explain an action, a turn, or with `last` the last turn.", answer=Explanation)
    async def explain(self, request: Request) -> Response:
        what, explainer = request.path_params["id"], self._kernel.explainer
        place = await explainer.find(what, await self._seen(request.state.access))
        return reply(await explainer.explain(what, place))

    async def _seen(self, access: Access | None) -> list[str] | None:
        """Return the sessions that a key sees; None means all."""
        if access is None or access.may("admin"):
            return None
        infos = await self._kernel.sessions.list(limit=_LOOKED_THROUGH)
        return [info.id for info in await self._owners.visible(access, infos)]

"""The HTTP API of explanations."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llmasos.api.explaining import Explanation
from llmasos.kernel import Kernel
from llmasos.service.access import Owners
from llmasos.service.openapi import operation
from llmasos.service.replies import reply


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
        place = await explainer.find(what, await self._owners.seen(request.state.access))
        return reply(await explainer.explain(what, place))

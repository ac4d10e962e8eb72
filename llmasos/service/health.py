"""Health: whether the kernel lives, and whether it takes work."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llmasos.api import Health
from llmasos.kernel import Kernel
from llmasos.service.drain import Drain
from llmasos.service.openapi import operation
from llmasos.service.refusals import after
from llmasos.service.replies import reply

_UNAVAILABLE = 503


def health_routes(kernel: Kernel, drain: Drain) -> list[Route]:
    """Return the routes that say how the kernel is; they need no key, and name nothing of a person."""
    api = _Health(kernel, drain)
    return [Route("/health", api.health), Route("/ready", api.ready)]


class _Health:
    def __init__(self, kernel: Kernel, drain: Drain) -> None:
        self._kernel = kernel
        self._drain = drain

    @operation("Say that the kernel lives.", answer=Health)
    async def health(self, _request: Request) -> Response:
        return reply(Health(status="ok"))

    @operation("Say whether the kernel takes work; 503 while it does not.", answer=Health)
    async def ready(self, _request: Request) -> Response:
        model = self._kernel.models.status()[0]
        ledger = await self._kernel.books.info()
        full = ledger.pending >= ledger.backlog
        state = Health(
            status="draining" if self._drain.draining else "unready" if full else "ready",
            model=model.name,
            model_state=model.state,
            sandbox=self._kernel.provider.backend,
            ledger="full" if full else "behind" if ledger.error else "ok",
        )
        if state.status == "ready":
            return reply(state)
        answer = reply(state, status=_UNAVAILABLE)
        answer.headers.update(after(self._drain.seconds))
        return answer

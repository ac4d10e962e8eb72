"""What a route needs: a scope of the key, and for a call of a model, room in its limits."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack

from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from llmasos.api import KeyScope
from llmasos.service.access.access import Access
from llmasos.service.drain import Drain
from llmasos.service.refusals import LimitReached, NotAllowed


class Need:
    """An endpoint behind what it needs; requests on the kernel's own socket have every scope.

    Args:
        app: The endpoint.
        scope: The scope; None means any key, or none.
        drain: Given where its POST requests ask a model: refuses them while the kernel is about to stop.
    """

    def __init__(self, app: ASGIApp, scope: KeyScope | None, drain: Drain | None) -> None:
        self.scope = scope
        self.drain = drain
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Carry out the request.

        Raises:
            NotAllowed: The key lacks the scope.
            LimitReached: Its limits do not allow a call now.
            Draining: The kernel is about to stop.
        """
        access: Access | None = scope.get("state", {}).get("access")
        asks = self.drain is not None and scope["method"] == "POST"
        try:
            if access is not None and self.scope is not None:
                access.require(self.scope)
            with ExitStack() as stack:
                if asks and self.drain is not None:
                    stack.enter_context(self.drain.call())
                    if access is not None:
                        stack.enter_context(access.call())
                await self._app(scope, receive, send)
        except (NotAllowed, LimitReached) as error:
            if asks and access is not None:
                await access.refused(error.code)
            raise


def needs(scope: KeyScope | None, routes: Iterable[Route], drain: Drain | None = None) -> list[Route]:
    """Return the routes, open only to keys with this scope.

    Args:
        scope: The scope; None means any key.
        routes: The routes.
        drain: Given where their POST requests ask a model.
    """
    found = list(routes)
    for route in found:
        route.app = Need(route.app, scope, drain)
    return found

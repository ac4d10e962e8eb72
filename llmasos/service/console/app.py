"""The console as an application of its own inside the kernel's."""

from __future__ import annotations

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from llmasos.api import ErrorBody
from llmasos.errors import LLMasOSError
from llmasos.kernel import Kernel
from llmasos.service.access import Logins
from llmasos.service.console.actions import action_routes
from llmasos.service.console.boards import board_routes
from llmasos.service.console.door import Door, LoginPage
from llmasos.service.console.rendering import Renderer, allowed
from llmasos.service.console.sessions import session_routes
from llmasos.service.drain import Drain
from llmasos.service.refusals import CONSOLE, Refusal, status_of
from llmasos.service.replies import explained

_ANY = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def mount(kernel: Kernel, logins: Logins, drain: Drain) -> Mount:
    """Return the console.

    Args:
        kernel: The kernel.
        logins: The browsers that are let in.
        drain: Says when nothing new may begin.
    """
    renderer = Renderer()
    errors = _Errors(kernel, renderer)
    app = Starlette(
        routes=[
            Mount("/static", StaticFiles(packages=[("llmasos.service.console", "static")])),
            Route("/", _first),
            *LoginPage(logins, renderer).routes(),
            *board_routes(kernel, renderer),
            *session_routes(kernel, renderer, drain),
            *action_routes(kernel, renderer),
            Route("/{rest:path}", errors.unknown, methods=_ANY),
        ],
        middleware=[Middleware(Door, renderer)],
        exception_handlers={
            LLMasOSError: errors.refused,
            ValidationError: errors.malformed,
            HTTPException: errors.unknown,
            Exception: errors.broken,
        },
    )
    return Mount(CONSOLE, app)


async def _first(request: Request) -> Response:
    """Lead to the first page that whoever asks may see."""
    return RedirectResponse(f"{CONSOLE}/{allowed(request.state.access)[0]}", 303)


class _Errors:
    def __init__(self, kernel: Kernel, renderer: Renderer) -> None:
        self._redactor = kernel.redactor
        self._renderer = renderer

    async def refused(self, request: Request, error: Exception) -> Response:
        """Show why something is refused."""
        assert isinstance(error, LLMasOSError)
        body = ErrorBody(code=error.code, message=error.message, hint=error.hint)
        page = self._page(request, status_of(error), body)
        if isinstance(error, Refusal):
            page.headers.update(error.headers())
        return page

    async def malformed(self, request: Request, error: Exception) -> Response:
        """Show that a request cannot be understood."""
        body = ErrorBody(code="request", message="This request cannot be understood.")
        return self._page(request, 400, body)

    async def unknown(self, request: Request, error: Exception | None = None) -> Response:
        """Show that there is no such page."""
        status = error.status_code if isinstance(error, HTTPException) else 404
        return self._renderer.page(request, "unknown.html", status)

    async def broken(self, request: Request, error: Exception) -> Response:
        """Show that the kernel failed; its log says how."""
        return self._page(request, 500, explained(error))

    def _page(self, request: Request, status: int, body: ErrorBody) -> Response:
        return self._renderer.page(request, "error.html", status, error=self._redactor.value(body))

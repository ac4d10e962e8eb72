"""The door: who has not logged in sees the login page, and nothing else; every reply has strict headers."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llmasos.agent import asked_through
from llmasos.service.access import Login, Logins
from llmasos.service.access.throttle import Throttle
from llmasos.service.console.forms import Form, posted, read_form
from llmasos.service.console.rendering import Renderer
from llmasos.service.refusals import CONSOLE, LimitReached

_CLIENT = "console"
_LOGIN = f"{CONSOLE}/login"
_STATIC = f"{CONSOLE}/static/"
_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # Without any referrer a browser would not say either whose page sent a form.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


class Door:
    """Lets those through who have logged in; the guard before it says who has.

    Args:
        app: The pages.
        renderer: Makes the login page.
    """

    def __init__(self, app: ASGIApp, renderer: Renderer) -> None:
        self._app = app
        self._renderer = renderer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Carry out a request, or show the login page."""
        path: str = scope["path"]
        static = path.startswith(_STATIC)

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers["cache-control"] = "no-cache" if static else "no-store"
            await send(message)

        # On the kernel's own socket there is no guard, and nobody has logged in.
        state = scope.setdefault("state", {})
        login: Login | None = state.setdefault("login", None)
        if login is None and not static and path != _LOGIN:
            page = self._renderer.page(Request(scope), "login.html", 401, token="", wrong="")
            await page(scope, receive, sending)
            return
        own = login is not None and login.account is None
        with asked_through(_CLIENT) if own else nullcontext():
            await self._app(scope, receive, sending)


class LoginPage:
    """The page where browsers are let in, by a link or with a key, and where they leave.

    Args:
        logins: Those who are let in.
        renderer: Makes the page.
        clock: A monotonic clock in seconds.
    """

    def __init__(
        self, logins: Logins, renderer: Renderer, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._logins = logins
        self._renderer = renderer
        self._throttle = Throttle(clock)

    def routes(self) -> list[Route]:
        """Return the routes of the page."""
        return [
            Route("/login", self._show),
            Route("/login", self._enter, methods=["POST"]),
            Route("/logout", posted(self._leave), methods=["POST"]),
        ]

    async def _show(self, request: Request) -> Response:
        # The link is not used up before the form is sent, so that nothing that looks ahead uses it. The form
        # is sent from this site, which is why the strict cookie counts at once.
        token = request.query_params.get("token", "")
        return self._renderer.page(request, "login.html", token=token, wrong="")

    async def _enter(self, request: Request) -> Response:
        form = await read_form(request)
        token, key = form.get("token"), form.get("key").strip()
        secret = self._logins.enter(token) if token else await self._logins.enter_with_key(key)
        if secret is None:
            if wait := self._throttle.failed(request.client.host if request.client else ""):
                raise LimitReached("Too many have failed to log in from this address.", retry_after=wait)
            wrong = "login_wrong" if token else "login_wrong_key"
            return self._renderer.page(request, "login.html", 401, token="", wrong=wrong)
        # Who logs in again leaves as who they were.
        self._logins.leave(request.cookies.get(self._logins.cookie, ""))
        response = RedirectResponse(f"{CONSOLE}/", 303)
        response.set_cookie(
            self._logins.cookie,
            secret,
            path=CONSOLE,
            # As the browser sees it: before a proxy this may be another scheme.
            secure=request.headers["origin"].startswith("https:"),
            httponly=True,
            samesite="strict",
        )
        return response

    async def _leave(self, request: Request, _form: Form) -> Response:
        self._logins.leave(request.cookies.get(self._logins.cookie, ""))
        response = RedirectResponse(_LOGIN, 303)
        response.delete_cookie(self._logins.cookie, path=CONSOLE, httponly=True, samesite="strict")
        return response

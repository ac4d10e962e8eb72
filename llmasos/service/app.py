"""The kernel's HTTP API: all its routes in one application."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from llmasos.agent import asked_through, metered
from llmasos.api import CLIENT_HEADER, ErrorBody
from llmasos.errors import LLMasOSError
from llmasos.kernel import Kernel
from llmasos.secrets import Redactor
from llmasos.service.access import Access, Keys, Logins, key_routes, needs, prices_of
from llmasos.service.body import BodyLimit
from llmasos.service.console import console_mount, link_routes
from llmasos.service.drain import Drain
from llmasos.service.explain import explain_routes
from llmasos.service.federated import federated_routes
from llmasos.service.health import health_routes
from llmasos.service.knowledge import knowledge_routes
from llmasos.service.ledger import ledger_routes
from llmasos.service.memory import memory_routes
from llmasos.service.models import model_routes
from llmasos.service.openai import openai_routes
from llmasos.service.openapi import openapi_route
from llmasos.service.plugins import plugin_routes
from llmasos.service.refusals import refused, said
from llmasos.service.replies import explained
from llmasos.service.sessions import session_routes
from llmasos.service.suggest import suggest_routes
from llmasos.service.system import system_routes

_CLIENT = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
_MEBIBYTE = 2**20


def make_app(
    kernel: Kernel,
    stop: Callable[[], None],
    *,
    keys: Keys | None = None,
    drain: Drain | None = None,
    logins: Logins | None = None,
) -> Starlette:
    """Return the application that serves a kernel; whoever reaches it without a guard may do everything.

    Args:
        kernel: The running kernel.
        stop: Asks the server to stop.
        keys: The keys of other programs.
        drain: Says when nothing new may begin.
        logins: The browsers that are let in to the console; None leaves the console away.
    """
    settings = kernel.settings
    keys = keys or Keys(kernel.store, kernel.ledger, prices_of(settings.models))
    drain = drain or Drain(settings.service.drain_seconds)
    routes = [
        *needs(None, health_routes(kernel, drain)),
        *system_routes(kernel, stop),
        *plugin_routes(kernel),
        *knowledge_routes(kernel),
        *model_routes(kernel, drain),
        *needs("models", openai_routes(kernel, drain), drain),
        *needs("models", suggest_routes(kernel), drain),
        *session_routes(kernel, drain),
        *memory_routes(kernel),
        *needs("agent", explain_routes(kernel)),
        *federated_routes(kernel),
        *needs("admin", ledger_routes(kernel.books)),
        *needs("admin", key_routes(keys)),
        *needs("admin", link_routes(settings.service, keys, logins)),
    ]
    routes += needs(None, [openapi_route(routes)])
    console = [] if logins is None else [console_mount(kernel, logins, drain)]
    most = settings.service.body_mb * _MEBIBYTE
    return Starlette(
        routes=[*routes, *console],
        middleware=[Middleware(_Asked), Middleware(BodyLimit, most)],
        exception_handlers={
            LLMasOSError: partial(_refused, kernel.redactor),
            ValidationError: _malformed,
            HTTPException: _unfound,
            ClientDisconnect: _left,
            Exception: partial(_broken, kernel.redactor),
        },
    )


class _Asked:
    """Has what a request does recorded as asked for by its key, or by its client as a header names it.

    Args:
        app: What carries it out.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        access: Access | None = scope.setdefault("state", {}).setdefault("access", None)
        if access is not None:
            with asked_through(f"api:{access.key_id}"), metered(access):
                await self._app(scope, receive, send)
            return
        named = headers.get(CLIENT_HEADER, "")
        with asked_through(named if _CLIENT.fullmatch(named) else "http"):
            await self._app(scope, receive, send)


async def _refused(redactor: Redactor, request: Request, error: Exception) -> Response:
    assert isinstance(error, LLMasOSError)
    error.message, error.hint = redactor.text(error.message), redactor.text(error.hint)
    return refused(request.url.path, error)


async def _malformed(request: Request, error: Exception) -> Response:
    assert isinstance(error, ValidationError)
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "body"
    message = f"The request is malformed: {where}: {first['msg']}."
    return said(request.url.path, 400, ErrorBody(code="request", message=message))


async def _unfound(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path, headers = request.url.path, dict(error.headers or {})
    named = f"{request.method} {path[:200]}"
    hint = (
        f"The path takes {headers['Allow']}." if "Allow" in headers else "/openapi.json lists what there is."
    )
    body = ErrorBody(code="unknown", message=f"There is no {named}.", hint=hint)
    return said(path, error.status_code, body, headers)


async def _left(_request: Request, _error: Exception) -> Response:
    return Response(status_code=400)


async def _broken(redactor: Redactor, request: Request, error: Exception) -> Response:
    return said(request.url.path, 500, redactor.value(explained(error)))

"""The kernel's HTTP API: sessions, their event streams, models, tools and the ledger."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from llmasos.agent import Session, Workbench, asked_through, asker
from llmasos.api import (
    CLIENT_HEADER,
    AccessRequest,
    ApprovalRequest,
    ChangesRequest,
    Choice,
    CommitChoice,
    ErrorBody,
    JobPlace,
    ModelChoice,
    SessionRequest,
    StateRequest,
    TurnRequest,
)
from llmasos.errors import LLMasOSError
from llmasos.kernel import Kernel
from llmasos.service.ledger import ledger_routes
from llmasos.service.models import model_routes
from llmasos.service.replies import body, explained, refusal, reply

_CLIENT = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
_STATUS = {
    "session": 409,
    "workspace": 409,
    "conflict": 409,
    "config": 400,
    "model": 422,
    "tool": 422,
    "unknown": 404,
    "ledger": 503,
    "sandbox": 503,
}


def make_app(kernel: Kernel, stop: Callable[[], None]) -> Starlette:
    """Return the application that serves a kernel.

    Args:
        kernel: The running kernel.
        stop: Asks the server to stop.
    """
    api = _Api(kernel, stop)
    routes = [
        Route("/v1/ping", api.ping),
        Route("/v1/kernel", api.kernel_info),
        Route("/v1/kernel/doctor", api.doctor),
        Route("/v1/kernel/stop", api.stop, methods=["POST"]),
        Route("/v1/tools", api.tools),
        Route("/v1/sessions", api.list_sessions),
        Route("/v1/sessions", api.create_session, methods=["POST"]),
        Route("/v1/sessions/{id}", api.session_info),
        Route("/v1/sessions/{id}/events", api.events),
        Route("/v1/sessions/{id}/turns", api.start_turn, methods=["POST"]),
        Route("/v1/sessions/{id}/cancel", api.cancel, methods=["POST"]),
        Route("/v1/sessions/{id}/model", api.use_model, methods=["POST"]),
        Route("/v1/sessions/{id}/approvals/{action}", api.approve, methods=["POST"]),
        Route("/v1/sessions/{id}/diff", api.diff),
        Route("/v1/sessions/{id}/commit", api.commit, methods=["POST"]),
        Route("/v1/sessions/{id}/discard", api.discard, methods=["POST"]),
        Route("/v1/sessions/{id}/undo", api.undo, methods=["POST"]),
        Route("/v1/sessions/{id}/redo", api.redo, methods=["POST"]),
        Route("/v1/sessions/{id}/history", api.history),
        Route("/v1/sessions/{id}/merged", api.merged),
        Route("/v1/sessions/{id}/resolve", api.resolve, methods=["POST"]),
        Route("/v1/sessions/{id}/access", api.allow, methods=["POST"]),
        Route("/v1/sessions/{id}/jobs", api.jobs),
        Route("/v1/sessions/{id}/jobs/{job}", api.job_output),
        Route("/v1/sessions/{id}/jobs/{job}/stop", api.stop_job, methods=["POST"]),
        Route("/v1/sessions/{id}/state/save", api.save_state, methods=["POST"]),
        Route("/v1/sessions/{id}/state/restore", api.restore_state, methods=["POST"]),
        *model_routes(kernel),
        *ledger_routes(kernel.books),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(_Asked)],
        exception_handlers={LLMasOSError: _refused, ValidationError: _malformed, Exception: _broken},
    )


class _Asked:
    """Has what a request does recorded as asked for by its client, which names itself in a header."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        named = dict(scope["headers"]).get(CLIENT_HEADER.encode(), b"").decode("latin-1")
        with asked_through(named if _CLIENT.fullmatch(named) else "http"):
            await self._app(scope, receive, send)


class _Api:
    def __init__(self, kernel: Kernel, stop: Callable[[], None]) -> None:
        self._kernel = kernel
        self._stop = stop

    async def ping(self, _request: Request) -> Response:
        return Response(status_code=204)

    async def kernel_info(self, _request: Request) -> Response:
        return reply(await self._kernel.info())

    async def doctor(self, _request: Request) -> Response:
        return reply(await self._kernel.doctor())

    async def stop(self, _request: Request) -> Response:
        self._stop()
        return Response(status_code=204)

    async def tools(self, _request: Request) -> Response:
        return reply(self._kernel.tools_info())

    async def list_sessions(self, request: Request) -> Response:
        folder = request.query_params.get("folder")
        return reply(await self._kernel.sessions.list(Path(folder) if folder else None))

    async def create_session(self, request: Request) -> Response:
        wanted = await body(request, SessionRequest)
        options = wanted.model_dump(exclude={"folder"})
        session = await self._kernel.sessions.create(Path(wanted.folder), **options)
        return reply(await session.info(), status=201)

    async def session_info(self, request: Request) -> Response:
        return reply(await (await self._session(request)).info())

    async def events(self, request: Request) -> Response:
        session = await self._session(request)
        given = request.query_params.get("after")
        after = int(given) if given and given.isdecimal() else None
        follow = request.query_params.get("follow", "true") == "true"
        return StreamingResponse(_server_sent(session, after, follow), media_type="text/event-stream")

    async def start_turn(self, request: Request) -> Response:
        session = await self._session(request)
        return reply(await session.start(await body(request, TurnRequest)), status=202)

    async def cancel(self, request: Request) -> Response:
        await (await self._session(request)).cancel()
        return Response(status_code=204)

    async def use_model(self, request: Request) -> Response:
        session = await self._session(request)
        await session.use_model((await body(request, ModelChoice)).model)
        return reply(await session.info())

    async def approve(self, request: Request) -> Response:
        session = await self._session(request)
        answer = await body(request, ApprovalRequest)
        session.approvals.answer(
            request.path_params["action"],
            answer.digest,
            approved=answer.approve,
            by=str(asker()),
        )
        return Response(status_code=204)

    async def allow(self, request: Request) -> Response:
        session = await self._session(request)
        await session.allow(await body(request, AccessRequest))
        return reply(await session.info())

    async def diff(self, request: Request) -> Response:
        return reply(await (await self._workbench(request)).diff())

    async def commit(self, request: Request) -> Response:
        workbench = await self._workbench(request)
        wanted = await body(request, ChangesRequest)
        return reply(await workbench.commit(wanted.choices, merge=wanted.merge))

    async def discard(self, request: Request) -> Response:
        workbench = await self._workbench(request)
        await workbench.discard((await body(request, ChangesRequest)).choices)
        return Response(status_code=204)

    async def undo(self, request: Request) -> Response:
        workbench = await self._workbench(request)
        return reply(await workbench.undo((await body(request, CommitChoice)).commit))

    async def redo(self, request: Request) -> Response:
        workbench = await self._workbench(request)
        return reply(await workbench.redo((await body(request, CommitChoice)).commit))

    async def history(self, request: Request) -> Response:
        return reply(await (await self._workbench(request)).history())

    async def merged(self, request: Request) -> Response:
        choice = Choice(path=request.query_params.get("path", ""))
        return reply(await (await self._workbench(request)).merged(choice.path))

    async def resolve(self, request: Request) -> Response:
        workbench = await self._workbench(request)
        return reply(await workbench.resolve((await body(request, Choice)).path))

    async def jobs(self, request: Request) -> Response:
        return reply(await (await self._workbench(request)).jobs())

    async def job_output(self, request: Request) -> Response:
        workbench = await self._workbench(request)
        where = JobPlace.model_validate(dict(request.query_params))
        return reply(await workbench.job_output(request.path_params["job"], where.offset, where.wait))

    async def stop_job(self, request: Request) -> Response:
        return reply(await (await self._workbench(request)).stop_job(request.path_params["job"]))

    async def save_state(self, request: Request) -> Response:
        workbench = await self._workbench(request)
        await workbench.save_state((await body(request, StateRequest)).name)
        return Response(status_code=204)

    async def restore_state(self, request: Request) -> Response:
        workbench = await self._workbench(request)
        await workbench.restore_state((await body(request, StateRequest)).name)
        return Response(status_code=204)

    async def _session(self, request: Request) -> Session:
        return await self._kernel.sessions.get(request.path_params["id"])

    async def _workbench(self, request: Request) -> Workbench:
        return (await self._session(request)).workbench


async def _server_sent(session: Session, after: int | None, follow: bool) -> AsyncIterator[str]:
    """Yield a session's events in the format of the HTML standard's server-sent events."""
    if not follow:
        for event in await session.stream.read(after or 0):
            yield f"id: {event.seq}\ndata: {event.model_dump_json()}\n\n"
        return
    async with session.stream.follow(after) as events:
        yield ": following\n\n"
        async for event in events:
            yield f"id: {event.seq}\ndata: {event.model_dump_json()}\n\n"


async def _refused(_request: Request, error: Exception) -> Response:
    said = explained(error)
    return refusal(_STATUS.get(said.code, 500), said)


async def _malformed(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ValidationError)
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "body"
    message = f"The request is malformed: {where}: {first['msg']}."
    return refusal(400, ErrorBody(code="request", message=message))


async def _broken(_request: Request, error: Exception) -> Response:
    return refusal(500, explained(error))

"""The kernel's HTTP API: sessions, their event streams, models, tools and the ledger."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from llmasos.agent import Session, Workbench
from llmasos.api import (
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

_log = logging.getLogger(__name__)
M = TypeVar("M", bound=BaseModel)

_STATUS = {
    "session": 409,
    "workspace": 409,
    "conflict": 409,
    "config": 400,
    "model": 422,
    "tool": 422,
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
        Route("/v1/models", api.models),
        Route("/v1/models/warm", api.warm, methods=["POST"]),
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
        Route("/v1/ledger", api.ledger_info),
        Route("/v1/ledger/records", api.records),
        Route("/v1/ledger/verify", api.verify, methods=["POST"]),
    ]
    return Starlette(
        routes=routes,
        exception_handlers={LLMasOSError: _refused, ValidationError: _malformed, Exception: _broken},
    )


class _Api:
    def __init__(self, kernel: Kernel, stop: Callable[[], None]) -> None:
        self._kernel = kernel
        self._stop = stop

    async def ping(self, _request: Request) -> Response:
        return Response(status_code=204)

    async def kernel_info(self, _request: Request) -> Response:
        return _reply(await self._kernel.info())

    async def doctor(self, _request: Request) -> Response:
        return _reply(await self._kernel.doctor())

    async def stop(self, _request: Request) -> Response:
        self._stop()
        return Response(status_code=204)

    async def models(self, _request: Request) -> Response:
        return _reply(self._kernel.models_info())

    async def warm(self, request: Request) -> Response:
        self._kernel.sessions.warm((await _body(request, ModelChoice)).model)
        return Response(status_code=204)

    async def tools(self, _request: Request) -> Response:
        return _reply(self._kernel.tools_info())

    async def list_sessions(self, request: Request) -> Response:
        folder = request.query_params.get("folder")
        return _reply(await self._kernel.sessions.list(Path(folder) if folder else None))

    async def create_session(self, request: Request) -> Response:
        wanted = await _body(request, SessionRequest)
        options = wanted.model_dump(exclude={"folder"})
        session = await self._kernel.sessions.create(Path(wanted.folder), **options)
        return _reply(await session.info(), status=201)

    async def session_info(self, request: Request) -> Response:
        return _reply(await (await self._session(request)).info())

    async def events(self, request: Request) -> Response:
        session = await self._session(request)
        given = request.query_params.get("after")
        after = int(given) if given and given.isdecimal() else None
        follow = request.query_params.get("follow", "true") == "true"
        return StreamingResponse(_server_sent(session, after, follow), media_type="text/event-stream")

    async def start_turn(self, request: Request) -> Response:
        session = await self._session(request)
        return _reply(await session.start(await _body(request, TurnRequest)), status=202)

    async def cancel(self, request: Request) -> Response:
        await (await self._session(request)).cancel()
        return Response(status_code=204)

    async def use_model(self, request: Request) -> Response:
        session = await self._session(request)
        await session.use_model((await _body(request, ModelChoice)).model)
        return _reply(await session.info())

    async def approve(self, request: Request) -> Response:
        session = await self._session(request)
        answer = await _body(request, ApprovalRequest)
        session.approvals.answer(
            request.path_params["action"],
            answer.digest,
            approved=answer.approve,
            by="the person at the shell",
        )
        return Response(status_code=204)

    async def allow(self, request: Request) -> Response:
        session = await self._session(request)
        await session.allow(await _body(request, AccessRequest))
        return _reply(await session.info())

    async def diff(self, request: Request) -> Response:
        return _reply(await (await self._workbench(request)).diff())

    async def commit(self, request: Request) -> Response:
        workbench = await self._workbench(request)
        wanted = await _body(request, ChangesRequest)
        return _reply(await workbench.commit(wanted.choices, merge=wanted.merge))

    async def discard(self, request: Request) -> Response:
        workbench = await self._workbench(request)
        await workbench.discard((await _body(request, ChangesRequest)).choices)
        return Response(status_code=204)

    async def undo(self, request: Request) -> Response:
        workbench = await self._workbench(request)
        return _reply(await workbench.undo((await _body(request, CommitChoice)).commit))

    async def redo(self, request: Request) -> Response:
        workbench = await self._workbench(request)
        return _reply(await workbench.redo((await _body(request, CommitChoice)).commit))

    async def history(self, request: Request) -> Response:
        return _reply(await (await self._workbench(request)).history())

    async def merged(self, request: Request) -> Response:
        choice = Choice(path=request.query_params.get("path", ""))
        return _reply(await (await self._workbench(request)).merged(choice.path))

    async def resolve(self, request: Request) -> Response:
        workbench = await self._workbench(request)
        return _reply(await workbench.resolve((await _body(request, Choice)).path))

    async def jobs(self, request: Request) -> Response:
        return _reply(await (await self._workbench(request)).jobs())

    async def job_output(self, request: Request) -> Response:
        workbench = await self._workbench(request)
        where = JobPlace.model_validate(dict(request.query_params))
        return _reply(await workbench.job_output(request.path_params["job"], where.offset, where.wait))

    async def stop_job(self, request: Request) -> Response:
        return _reply(await (await self._workbench(request)).stop_job(request.path_params["job"]))

    async def save_state(self, request: Request) -> Response:
        workbench = await self._workbench(request)
        await workbench.save_state((await _body(request, StateRequest)).name)
        return Response(status_code=204)

    async def restore_state(self, request: Request) -> Response:
        workbench = await self._workbench(request)
        await workbench.restore_state((await _body(request, StateRequest)).name)
        return Response(status_code=204)

    async def ledger_info(self, _request: Request) -> Response:
        return _reply(await self._kernel.ledger_info())

    async def records(self, request: Request) -> Response:
        limit = int(request.query_params.get("limit", "100"))
        return _reply(await self._kernel.records(request.query_params.get("session"), limit))

    async def verify(self, _request: Request) -> Response:
        return _reply(await self._kernel.verify())

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


async def _body(request: Request, model: type[M]) -> M:
    return model.model_validate_json(await request.body() or b"{}")


def _reply(value: object, status: int = 200) -> Response:
    body = TypeAdapter(type(value)).dump_json(value) if isinstance(value, BaseModel) else _dump_list(value)
    return Response(body, status_code=status, media_type="application/json")


def _dump_list(value: object) -> bytes:
    return TypeAdapter(list[BaseModel]).dump_json(value, serialize_as_any=True)  # type: ignore[arg-type]


def _error(status: int, code: str, message: str, hint: str = "") -> JSONResponse:
    return JSONResponse(ErrorBody(code=code, message=message, hint=hint).model_dump(), status_code=status)


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, LLMasOSError)
    return _error(_STATUS.get(error.code, 500), error.code, error.message, error.hint)


async def _malformed(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ValidationError)
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "body"
    return _error(400, "request", f"The request is malformed: {where}: {first['msg']}.")


async def _broken(_request: Request, error: Exception) -> Response:
    _log.exception("a request failed", exc_info=error)
    return _error(500, "internal", f"The kernel failed ({type(error).__name__}).", "Its log has the details.")

"""The HTTP API of sessions: turns, approvals and events."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llmasos.agent import Approval, Chronicle, Session, Workbench, asker, search_sessions
from llmasos.api import (
    AccessRequest,
    ApprovalRequest,
    ChosenModel,
    Compacted,
    CompactRequest,
    ForkRequest,
    ModelChoice,
    SearchHit,
    SearchQuery,
    SessionInfo,
    SessionRequest,
    SteerRequest,
    TitleRequest,
    TurnAccepted,
    TurnRequest,
)
from llmasos.events import Event
from llmasos.kernel import Kernel
from llmasos.service.access import Access, Owners, needs
from llmasos.service.artifacts import Artifacts
from llmasos.service.changes import ChangesApi
from llmasos.service.drain import Drain
from llmasos.service.events import SERVER_SENT, EventReply, beginning, stored
from llmasos.service.openapi import operation
from llmasos.service.replies import body, reply
from llmasos.service.turns import Turns

_SHOWN = 100
_LOOKED_THROUGH = 10_000


def session_routes(kernel: Kernel, drain: Drain) -> list[Route]:
    """Return the routes under `/v1/sessions`, each with what it needs."""
    api = _SessionsApi(kernel)
    changes = ChangesApi(api.workbench)
    artifacts = Artifacts(kernel, api.chronicle)
    return [
        *needs("agent", [Route("/v1/sessions/{id}/turns", api.start_turn, methods=["POST"])], drain),
        *needs(
            "approve",
            [
                Route("/v1/sessions/{id}/approvals/{action}", api.approve, methods=["POST"]),
                Route("/v1/sessions/{id}/access", api.allow, methods=["POST"]),
                *changes.decisions(),
            ],
        ),
        *needs(
            "agent",
            [
                Route("/v1/search", api.search),
                Route("/v1/sessions", api.list_sessions),
                Route("/v1/sessions", api.create_session, methods=["POST"]),
                Route("/v1/sessions/{id}", api.session_info),
                Route("/v1/sessions/{id}/events", api.events),
                Route("/v1/sessions/{id}/artifacts/{number}", artifacts.send),
                Route("/v1/sessions/{id}/steer", api.steer, methods=["POST"]),
                Route("/v1/sessions/{id}/cancel", api.cancel, methods=["POST"]),
                Route("/v1/sessions/{id}/compact", api.compact, methods=["POST"]),
                Route("/v1/sessions/{id}/title", api.rename, methods=["POST"]),
                Route("/v1/sessions/{id}/fork", api.fork, methods=["POST"]),
                Route("/v1/sessions/{id}/model", api.use_model, methods=["POST"]),
                *changes.routes(),
            ],
        ),
    ]


class _EventsQuery(BaseModel):
    """Which events: those after a number or of the last turns, and with `follow` those to come.

    With `turn` they end with that turn.
    """

    after: int | None = None
    last: int | None = Field(None, ge=1)
    follow: bool = True
    turn: str = ""


class _FolderQuery(BaseModel):
    """Whose sessions: those of a folder."""

    folder: str = ""


class _SessionsApi:
    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._owners = Owners(kernel.store)
        self._turns = Turns(kernel)

    @operation("List the newest sessions.", query=_FolderQuery, answer=SessionInfo, many=True)
    async def list_sessions(self, request: Request) -> Response:
        given = request.query_params.get("folder")
        folder = Path(given) if given else None
        infos = await self._kernel.sessions.list(
            folder, _SHOWN if _access(request) is None else _LOOKED_THROUGH
        )
        return reply((await self._owners.visible(_access(request), infos))[:_SHOWN])

    @operation("Search past sessions.", query=SearchQuery, answer=SearchHit, many=True)
    async def search(self, request: Request) -> Response:
        wanted = SearchQuery.model_validate(dict(request.query_params))
        mine = await self._owners.seen(_access(request))
        return reply(await search_sessions(self._kernel.store, wanted.query, wanted.limit, mine))

    @operation("Begin a session on a folder.", body=SessionRequest, answer=SessionInfo, status=201)
    async def create_session(self, request: Request) -> Response:
        session = await self._turns.begin(_access(request), await body(request, SessionRequest))
        return reply(await session.info(), status=201)

    @operation("Show a session.", answer=SessionInfo)
    async def session_info(self, request: Request) -> Response:
        return reply(await (await self.chronicle(request)).info())

    @operation("Have older turns told in short.", body=CompactRequest, answer=Compacted)
    async def compact(self, request: Request) -> Response:
        session = await self.session(request)
        return reply(await session.compact((await body(request, CompactRequest)).keep))

    @operation("Give a session a name.", body=TitleRequest, answer=SessionInfo)
    async def rename(self, request: Request) -> Response:
        session = await self.chronicle(request)
        await session.rename((await body(request, TitleRequest)).title)
        return reply(await session.info())

    @operation("Go on from a turn in another session.", body=ForkRequest, answer=SessionInfo, status=201)
    async def fork(self, request: Request) -> Response:
        source = await self.session(request)
        fork = await self._turns.fork(_access(request), source, (await body(request, ForkRequest)).turn)
        return reply(await fork.info(), status=201)

    @operation("Follow a session's events.", query=_EventsQuery, answer=Event, media=SERVER_SENT)
    async def events(self, request: Request) -> Response:
        session = await self.chronicle(request)
        after = await beginning(request, session)
        if request.query_params.get("follow", "true") == "true":
            return EventReply(session, after, turn=request.query_params.get("turn", ""))
        return Response(await stored(session, after or 0), media_type=SERVER_SENT)

    @operation("Start a turn; its events follow.", body=TurnRequest, answer=TurnAccepted, status=202)
    async def start_turn(self, request: Request) -> Response:
        session = await self.session(request)
        wanted = await body(request, TurnRequest)
        return reply(await self._turns.start(_access(request), session, wanted), status=202)

    @operation("Say something to the running turn.", body=SteerRequest, answer=TurnAccepted, status=202)
    async def steer(self, request: Request) -> Response:
        session = await self.session(request)
        said = await body(request, SteerRequest)
        return reply(await self._turns.steer(_access(request), session, said.text), status=202)

    @operation("Cancel the running turn.", status=204)
    async def cancel(self, request: Request) -> Response:
        await (await self.session(request)).cancel()
        return Response(status_code=204)

    @operation("Choose the model of the turns to come.", body=ModelChoice, answer=ChosenModel)
    async def use_model(self, request: Request) -> Response:
        session = await self.session(request)
        wanted = (await body(request, ModelChoice)).model
        self._turns.here.check(_access(request), wanted)
        checked = await session.use_model(wanted)
        return reply(ChosenModel(**dict(await session.info()), checked=checked))

    @operation("Answer an approval request.", body=ApprovalRequest, status=204)
    async def approve(self, request: Request) -> Response:
        session = await self.session(request)
        answer = await body(request, ApprovalRequest)
        session.approvals.answer(
            request.path_params["action"],
            answer.digest,
            Approval(answer.approve, str(asker()), answer.always, answer.arguments, answer.why),
        )
        return Response(status_code=204)

    @operation("Change what code may reach and see.", body=AccessRequest, answer=SessionInfo)
    async def allow(self, request: Request) -> Response:
        session = await self.session(request)
        await session.allow(await body(request, AccessRequest))
        return reply(await session.info())

    async def session(self, request: Request) -> Session:
        """Return the session that a request names, if whoever asks may use it."""
        named = request.path_params["id"]
        await self._owners.check(_access(request), named)
        return await self._kernel.sessions.get(named)

    async def chronicle(self, request: Request) -> Chronicle:
        """Return what is kept of that session, the folder of which may be gone."""
        named = request.path_params["id"]
        await self._owners.check(_access(request), named)
        return await self._kernel.sessions.chronicle(named)

    async def workbench(self, request: Request) -> Workbench:
        """Return the workbench of that session."""
        return (await self.session(request)).workbench


def _access(request: Request) -> Access | None:
    access: Access | None = request.state.access
    return access

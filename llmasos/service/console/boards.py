"""Boards: pages that show how a part of the kernel stands, and go on showing it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llmasos.agent.decided import newest_decisions, newest_places
from llmasos.api import KeyScope, RecordQuery
from llmasos.kernel import Kernel
from llmasos.service.access import Access, Owners, needs
from llmasos.service.console.following import watched
from llmasos.service.console.forms import Form, posted
from llmasos.service.console.rendering import Renderer
from llmasos.service.console.runs import RunBoards
from llmasos.service.console.turns import BeginningForm

_SESSIONS = 100
_LOOKED_THROUGH = 10_000
_DECISIONS = 200
_RECORDS = 50
# Each look asks the chain, which may be far away.
_CHAIN_SECONDS = 5.0

Values = Callable[[Request], Awaitable[dict[str, Any]]]


@dataclass(frozen=True)
class Board:
    """A page of one part of the kernel.

    Args:
        path: Where it is.
        name: Of its template.
        scope: What a key needs to see it.
        values: Returns what is shown.
        every: Seconds between two looks at it.
        state: Returns what is other when something else is to be shown; None to draw it with each look.
        form: Returns what a form beside it offers, which is drawn once; None where there is none.
    """

    path: str
    name: str
    scope: KeyScope
    values: Values
    every: float = 1.0
    state: Callable[[Request], Awaitable[object]] | None = None
    form: Values | None = None

    def routes(self, renderer: Renderer) -> list[Route]:
        """Return the routes of the page and of what follows it."""

        async def show(request: Request) -> Response:
            return await self.draw(renderer, request)

        async def follow(request: Request) -> Response:
            drawn: tuple[object, str] = None, ""

            async def draw() -> str:
                nonlocal drawn
                state = await self.state(request) if self.state is not None else None
                if state is None or state != drawn[0]:
                    values = await self.values(request)
                    drawn = state, renderer.part(request, "live.html", board=self.name, **values)
                return drawn[1]

            await draw()
            return watched(draw, "live", self.every)

        return needs(self.scope, [Route(self.path, show), Route(f"{self.path}/live", follow)])

    async def draw(self, renderer: Renderer, request: Request, status: int = 200, **given: Any) -> Response:
        """Return the page.

        Args:
            renderer: Makes it.
            request: Who asks.
            status: The HTTP status.
            given: What its form was sent with, and what is said of that.
        """
        beside = await self.form(request) if self.form is not None else {}
        values = await self.values(request) | beside | given
        return renderer.page(request, "board.html", status, board=self.name, **values)


def board_routes(kernel: Kernel, renderer: Renderer) -> list[Route]:
    """Return the routes of all boards."""
    shown = _Boards(kernel)
    trainings = RunBoards(kernel)
    beginning = BeginningForm(kernel)
    sessions = Board("/sessions", "sessions", "agent", shown.sessions, form=beginning.values)
    boards = (
        sessions,
        Board("/models", "models", "models", shown.models),
        Board("/runs", "runs", "agent", trainings.all),
        Board("/runs/{id}", "run", "agent", trainings.one),
        Board("/decisions", "decisions", "agent", shown.decisions, state=shown.decided),
        Board("/ledger", "ledger", "admin", shown.ledger, every=_CHAIN_SECONDS),
    )

    async def verify(request: Request, _form: Form) -> Response:
        report = await kernel.books.verify()
        return renderer.page(request, "verified.html", report=report)

    async def begin(request: Request, form: Form) -> Response:
        return await beginning.begin(request, form, partial(sessions.draw, renderer))

    return [
        *needs("agent", [Route("/sessions", posted(begin), methods=["POST"])]),
        *needs("admin", [Route("/ledger/verify", posted(verify), methods=["POST"])]),
        *(route for board in boards for route in board.routes(renderer)),
    ]


class _Boards:
    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._owners = Owners(kernel.store)

    async def sessions(self, request: Request) -> dict[str, Any]:
        access: Access | None = request.state.access
        most = _SESSIONS if access is None else _LOOKED_THROUGH
        infos = await self._owners.visible(access, await self._kernel.sessions.list(None, most))
        return {"sessions": infos[:_SESSIONS]}

    async def models(self, request: Request) -> dict[str, Any]:
        access: Access | None = request.state.access
        administration = self._kernel.administration
        top = administration.top() if access is None or access.may("admin") else None
        return {"models": administration.list(), "top": top}

    async def decisions(self, request: Request) -> dict[str, Any]:
        seen = await self._owners.seen(request.state.access)
        return {"decisions": await newest_decisions(self._kernel.store, _DECISIONS, seen)}

    async def decided(self, request: Request) -> object:
        seen = await self._owners.seen(request.state.access)
        return await newest_places(self._kernel.store, _DECISIONS, seen)

    async def ledger(self, _request: Request) -> dict[str, Any]:
        records = await self._kernel.books.records(RecordQuery(limit=_RECORDS))
        return {"ledger": await self._kernel.books.info(), "records": records[::-1]}

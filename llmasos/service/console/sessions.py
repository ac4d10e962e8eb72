"""A session's page: its turns as they happen, and what its person decides."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from llmasos.agent import Approval, Chronicle, Session, asker
from llmasos.api import ErrorBody
from llmasos.errors import SessionError, UnknownRecordError
from llmasos.kernel import Kernel
from llmasos.service.access import Access, Owners, needs
from llmasos.service.artifacts import Artifacts
from llmasos.service.console.changes import Decisions, changes_of
from llmasos.service.console.forms import Form, posted
from llmasos.service.console.outcomes import Outcome
from llmasos.service.console.rendering import Renderer
from llmasos.service.console.telling import Telling
from llmasos.service.console.turns import TurnForms, said
from llmasos.service.drain import Drain
from llmasos.service.events import FollowReply, place
from llmasos.service.refusals import CONSOLE, Refusal
from llmasos.story import Story

_TURNS = 20


def session_routes(kernel: Kernel, renderer: Renderer, drain: Drain) -> list[Route]:
    """Return the routes of a session's page, each with what it needs."""
    page = _SessionPage(kernel, renderer)
    artifacts = Artifacts(kernel, page.chronicle)
    return [
        *needs("agent", [Route("/sessions/{id}/turns", posted(page.forms.start), methods=["POST"])], drain),
        *needs(
            "agent",
            [
                Route("/sessions/{id}", page.show),
                Route("/sessions/{id}/events", page.follow),
                Route("/sessions/{id}/artifacts/{number}", artifacts.send),
                Route("/sessions/{id}/steer", posted(page.forms.steer), methods=["POST"]),
                Route("/sessions/{id}/cancel", posted(page.cancel), methods=["POST"]),
                Route("/sessions/{id}/discard", posted(page.decisions.discard), methods=["POST"]),
            ],
        ),
        *needs(
            "approve",
            [
                Route("/sessions/{id}/approvals/{action}", posted(page.approve), methods=["POST"]),
                Route("/sessions/{id}/commit", posted(page.decisions.commit), methods=["POST"]),
            ],
        ),
    ]


class _SessionPage:
    def __init__(self, kernel: Kernel, renderer: Renderer) -> None:
        self._kernel = kernel
        self._renderer = renderer
        self._owners = Owners(kernel.store)
        self.decisions = Decisions(self.session)
        self.forms = TurnForms(kernel, self)

    async def show(self, request: Request) -> Response:
        session = await self.chronicle(request)
        outcome = self.decisions.outcome(session.id, request.query_params.get("done", ""))
        return await self.draw(request, session, outcome=outcome)

    async def draw(
        self,
        request: Request,
        session: Chronicle,
        status: int = 200,
        *,
        outcome: Outcome | None = None,
        refused: ErrorBody | None = None,
        text: str = "",
    ) -> Response:
        """Return the page.

        Args:
            request: Who asks.
            session: The session.
            status: The HTTP status.
            outcome: What came of the last decision about its changes.
            refused: Why what was said could not be.
            text: What was said then.
        """
        start = 0 if "all" in request.query_params else await session.stream.tail(_TURNS)
        before = await _turns(session, start)
        story = Story(await session.stream.read(start), before)
        return self._renderer.page(
            request,
            "session.html",
            status,
            info=await session.info(),
            story=story,
            turns=list(story.turns.values())[::-1],
            count=before + len(story.turns),
            outcome=outcome,
            refused=refused,
            text=text,
            **await self._values(request, session, story),
        )

    async def follow(self, request: Request) -> Response:
        """Send what changes on the page after the event that it, or its last message, has."""
        session, after = await self.chronicle(request), place(request) or 0
        start = await session.stream.tail(_TURNS)
        # Who was away for long is told of turns that have to be known from their beginning.
        start = start if start <= after else 0
        before = await _turns(session, start)
        values = partial(self._values, request, session)
        telling = Telling(self._renderer, request, after, before, values)

        @asynccontextmanager
        async def follow() -> AsyncIterator[AsyncIterator[str]]:
            async with session.stream.follow(start) as events:
                yield telling.messages(events)

        return FollowReply(follow)

    async def _values(self, request: Request, session: Chronicle, story: Story) -> dict[str, Any]:
        """Return what is shown of where the session stands, which its events change."""
        forms = self.forms.values(request, await session.info())
        return {**forms, **await changes_of(session.id, story, partial(self.session, request))}

    async def cancel(self, request: Request, _form: Form) -> Response:
        session = await self.session(request)
        await session.cancel()
        return _back(session, "say")

    async def approve(self, request: Request, form: Form) -> Response:
        session, action = await self.session(request), request.path_params["action"]
        answer = form.get("answer")
        if answer not in ("allow", "always", "deny"):
            raise Refusal("The form says neither to allow nor to deny it.", hint="Load the page again.")
        arguments = await _edited(session, action, form) if answer != "deny" else None
        if arguments is not None and answer == "always":
            raise Refusal(
                "A call with other arguments is allowed once only.", hint="Go back, and allow it once."
            )
        session.approvals.answer(
            action,
            form.get("digest"),
            Approval(answer != "deny", str(asker()), answer == "always", arguments, form.get("why")[:2000]),
        )
        return _back(session, action)

    async def session(self, request: Request) -> Session:
        """Return the session that a request names, if whoever asks may use it.

        Raises:
            UnknownRecordError: There is none, as far as may be seen.
        """
        with _unknown():
            return await self._kernel.sessions.get(await self._named(request))

    async def chronicle(self, request: Request) -> Chronicle:
        """Return what is kept of that session, the folder of which may be gone.

        Raises:
            UnknownRecordError: There is none, as far as may be seen.
        """
        with _unknown():
            return await self._kernel.sessions.chronicle(await self._named(request))

    async def _named(self, request: Request) -> str:
        access: Access | None = request.state.access
        named = str(request.path_params["id"])
        await self._owners.check(access, named)
        return named


@contextmanager
def _unknown() -> Iterator[None]:
    try:
        yield
    except SessionError as error:
        raise UnknownRecordError(error.message, hint="The page of sessions lists them.") from error


async def _turns(session: Chronicle, until: int) -> int:
    """Return how many turns have begun up to an event."""
    if not until:
        return 0
    begun = await session.stream.read(types=("turn_started",))
    return sum(event.seq <= until for event in begun)


async def _edited(session: Session, action: str, form: Form) -> dict[str, Any] | None:
    """Return the arguments as a person has changed them; None when they are as they were."""
    call = Story(await session.stream.read(await session.stream.tail(1))).action(action)
    if call is None:
        return None
    edited = dict(call.arguments)
    for number, name in enumerate(call.editable):
        if form.all(f"argument-{number}"):
            edited[name] = said(form, f"argument-{number}")
    return edited if edited != call.arguments else None


def _back(session: Session, part: str) -> Response:
    return RedirectResponse(f"{CONSOLE}/sessions/{session.id}#{part}", 303)

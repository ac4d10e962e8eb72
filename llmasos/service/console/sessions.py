"""A session's page: its turns as they happen, and what its person decides."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any
from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from llmasos.agent import Approval, Session, asker
from llmasos.api import Choice, Diff
from llmasos.errors import SessionError, UnknownRecordError
from llmasos.kernel import Kernel
from llmasos.service.access import Access, Owners, needs
from llmasos.service.console.forms import Form, posted
from llmasos.service.console.rendering import Renderer
from llmasos.service.console.telling import Telling
from llmasos.service.events import FollowReply, place
from llmasos.service.refusals import CONSOLE, Refusal
from llmasos.story import Story

_TURNS = 20


def session_routes(kernel: Kernel, renderer: Renderer) -> list[Route]:
    """Return the routes of a session's page, each with what it needs."""
    page = _SessionPage(kernel, renderer)
    return [
        *needs(
            "agent",
            [
                Route("/sessions/{id}", page.show),
                Route("/sessions/{id}/events", page.follow),
                Route("/sessions/{id}/cancel", posted(page.cancel), methods=["POST"]),
                Route("/sessions/{id}/discard", posted(page.discard), methods=["POST"]),
            ],
        ),
        *needs(
            "approve",
            [
                Route("/sessions/{id}/approvals/{action}", posted(page.approve), methods=["POST"]),
                Route("/sessions/{id}/commit", posted(page.commit), methods=["POST"]),
            ],
        ),
    ]


class _SessionPage:
    def __init__(self, kernel: Kernel, renderer: Renderer) -> None:
        self._kernel = kernel
        self._renderer = renderer
        self._owners = Owners(kernel.store)

    async def show(self, request: Request) -> Response:
        session = await self._session(request)
        start = 0 if "all" in request.query_params else await session.stream.tail(_TURNS)
        before = await _turns(session, start)
        story = Story(await session.stream.read(start), before)
        return self._renderer.page(
            request,
            "session.html",
            info=await session.info(),
            story=story,
            turns=list(story.turns.values())[::-1],
            count=before + len(story.turns),
            **await self._changes(session, story),
        )

    async def follow(self, request: Request) -> Response:
        """Send what changes on the page after the event that it, or its last message, has."""
        session, after = await self._session(request), place(request) or 0
        start = await session.stream.tail(_TURNS)
        # Who was away for long is told of turns that have to be known from their beginning.
        start = start if start <= after else 0
        before = await _turns(session, start)
        telling = Telling(self._renderer, request, after, before, lambda story: self._changes(session, story))

        @asynccontextmanager
        async def follow() -> AsyncIterator[AsyncIterator[str]]:
            async with session.stream.follow(start) as events:
                yield telling.messages(events)

        return FollowReply(follow)

    async def cancel(self, request: Request, _form: Form) -> Response:
        session = await self._session(request)
        await session.cancel()
        return _back(session)

    async def approve(self, request: Request, form: Form) -> Response:
        session, action = await self._session(request), request.path_params["action"]
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

    async def commit(self, request: Request, form: Form) -> Response:
        session = await self._session(request)
        await session.workbench.commit(await self._chosen(session, form))
        return _back(session)

    async def discard(self, request: Request, form: Form) -> Response:
        session = await self._session(request)
        await session.workbench.discard(await self._chosen(session, form))
        return _back(session)

    async def _session(self, request: Request) -> Session:
        """Return the session that a request names, if whoever asks may use it.

        Raises:
            UnknownRecordError: There is none, as far as may be seen.
        """
        access: Access | None = request.state.access
        named = request.path_params["id"]
        try:
            await self._owners.check(access, named)
            return await self._kernel.sessions.get(named)
        except SessionError as error:
            raise UnknownRecordError(error.message, hint="The page of sessions lists them.") from error

    async def _changes(self, session: Session, story: Story) -> dict[str, Any]:
        """Return what is shown of the changes that are offered; while a turn runs they are in the making."""
        diff = Diff() if story.running else await session.workbench.diff()
        names = [change.model_dump(mode="json")["path"] for change in diff.changes]
        return {
            "session": session.id,
            "running": story.running,
            "waiting": story.waiting,
            "diff": diff,
            # Names may hold what no form carries unchanged, such as newlines.
            "files": list(zip((quote(name, safe="") for name in names), diff.changes, strict=True)),
            "seen": _digest(diff),
        }

    async def _chosen(self, session: Session, form: Form) -> list[Choice] | None:
        """Return the chosen changes; None means all.

        Raises:
            SessionError: They are others than those that were shown.
            Refusal: None is chosen.
        """
        diff = await session.workbench.diff()
        if _digest(diff) != form.get("seen"):
            raise SessionError(
                "The changes are others than those that you saw.",
                hint="Load the page again, and look at them.",
            )
        names = [unquote(name) for name in form.all("file")]
        if not names:
            raise Refusal("No file is chosen.", hint="Go back, and tick the files.")
        everything = {change.model_dump(mode="json")["path"] for change in diff.changes}
        return None if everything == set(names) else [Choice(path=name) for name in names]


async def _turns(session: Session, until: int) -> int:
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
        # Browsers send lines as networks once ended them.
        if given := form.all(f"argument-{number}"):
            edited[name] = given[0].replace("\r\n", "\n")
    return edited if edited != call.arguments else None


def _digest(diff: Diff) -> str:
    return sha256(diff.model_dump_json().encode()).hexdigest()


def _back(session: Session, part: str = "") -> Response:
    return RedirectResponse(f"{CONSOLE}/sessions/{session.id}{f'#{part}' if part else ''}", 303)

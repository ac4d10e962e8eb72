"""The changes that a session offers: shown on its page, and written or dropped in whole or in part."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from llmasos.agent import Session
from llmasos.api import Diff
from llmasos.errors import SessionError, WorkspaceError
from llmasos.service.console.forms import Form
from llmasos.service.console.hunks import OfferedFile, chosen, offered
from llmasos.service.console.outcomes import Outcome, Outcomes, outcome
from llmasos.service.refusals import CONSOLE
from llmasos.story import Story


async def changes_of(name: str, story: Story, session: Callable[[], Awaitable[Session]]) -> dict[str, Any]:
    """Return what is shown of the changes that are offered; while a turn runs they are in the making.

    Args:
        name: The session's id.
        story: What happened in it.
        session: Opens it, where its folder is there.
    """
    diff, gone = Diff(), None
    if not story.running:
        try:
            diff = await (await session()).workbench.diff()
        except WorkspaceError as error:
            gone = error
    return {
        "session": name,
        "gone": gone,
        "running": story.running,
        "waiting": story.waiting,
        "diff": diff,
        "files": offered(diff),
        "seen": _digest(diff),
    }


class Decisions:
    """Carries out what a person decides of the changes, and remembers what came of it.

    Args:
        session: Returns the session that a request names, if whoever asks may use it.
    """

    def __init__(self, session: Callable[[Request], Awaitable[Session]]) -> None:
        self._session = session
        self._outcomes = Outcomes()

    async def commit(self, request: Request, form: Form) -> Response:
        """Write what is chosen to the folder."""
        session, files = await self._seen(request, form)
        choices = chosen(files, form)
        info = await session.workbench.commit(choices, merge=bool(form.all("merge")))
        paths = info.model_dump(mode="json")["paths"]
        left = await session.workbench.diff()
        return self._told(session, outcome("commit", info.id, paths, files, choices, left))

    async def discard(self, request: Request, form: Form) -> Response:
        """Drop what is chosen."""
        session, files = await self._seen(request, form)
        choices = chosen(files, form)
        await session.workbench.discard(choices)
        left = await session.workbench.diff()
        parts = {choice.path for choice in choices or () if choice.hunks}
        stays = {file.path for file in offered(left)} - parts
        paths = [file.path for file in files if file.path not in stays]
        return self._told(session, outcome("discard", "", paths, files, choices, left))

    def outcome(self, session: str, token: str) -> Outcome | None:
        """Return what came of a decision; None when it is not known any more."""
        return self._outcomes.find(session, token)

    async def _seen(self, request: Request, form: Form) -> tuple[Session, list[OfferedFile]]:
        """Return the session, and the files that a person has decided on.

        Raises:
            SessionError: They are others than those that were shown.
        """
        session = await self._session(request)
        diff = await session.workbench.diff()
        if _digest(diff) != form.get("seen"):
            raise SessionError(
                "The changes are others than those that you saw.",
                hint="Load the page again, and look at them.",
            )
        return session, offered(diff)

    def _told(self, session: Session, found: Outcome) -> Response:
        token = self._outcomes.keep(session.id, found)
        # The page's focus goes to the summary.
        return RedirectResponse(f"{CONSOLE}/sessions/{session.id}?done={token}#done", 303)


def _digest(diff: Diff) -> str:
    return sha256(diff.model_dump_json().encode()).hexdigest()

"""Turns: sessions that are begun, and turns that are started and spoken to, by whoever may."""

from __future__ import annotations

from pathlib import Path

from llmasos.agent import Session
from llmasos.api import SessionInfo, SessionRequest, TurnAccepted, TurnRequest
from llmasos.kernel import Kernel
from llmasos.models import Client
from llmasos.service.access import Access, Owners
from llmasos.service.here import Here
from llmasos.service.refusals import Refusal


class Turns:
    """What the API and the console have the agent do, each on behalf of a key or of the machine's own user.

    Args:
        kernel: The kernel.

    Attributes:
        here: The models that may be named.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._owners = Owners(kernel.store)
        # Agents ask models, and no adapters.
        self.here = Here(kernel.models)

    def allowed(self, access: Access | None) -> list[str]:
        """Return the models that may be asked, of those that are here."""
        return [name for name in self.here.models() if access is None or access.allows(name)]

    async def begin(self, access: Access | None, wanted: SessionRequest) -> Session:
        """Begin a session on a folder.

        Raises:
            NotAllowed: The key may not ask the model, or may not begin a session that may do so much.
            Refusal: The folder cannot be one's name.
            LLMasOSError: The folder or the model is not there.
        """
        self.here.check(access, wanted.model)
        _check_loosened(access, wanted, in_place=wanted.in_place or self._kernel.settings.in_place)
        options = wanted.model_dump(exclude={"folder"})
        session = await self._kernel.sessions.create(_folder(wanted.folder), **options)
        await self._owners.began(access, session.id)
        return session

    async def fork(self, access: Access | None, source: Session, turn: str) -> Session:
        """Begin a session that goes on from a turn of another one.

        Raises:
            NotAllowed: The key may not ask the model, or may not begin a session that may do so much.
            SessionError: There is no such turn, or it has not ended.
        """
        info = await source.info()
        self.here.check(access, info.model)
        _check_loosened(access, info, in_place=info.in_place)
        fork = await self._kernel.sessions.fork(source.id, turn)
        await self._owners.began(access, fork.id)
        return fork

    async def start(self, access: Access | None, session: Session, wanted: TurnRequest) -> TurnAccepted:
        """Start a turn in the background.

        Raises:
            NotAllowed: The key may not ask the model, or may not approve what is approved beforehand.
            SessionError: A turn is running, or the text is empty.
        """
        self.here.check(access, (await session.info()).model)
        if access is not None and (wanted.approve == "all" or wanted.approved):
            access.require("approve")
        # What was computed for a session's prompts is its key's, whoever starts a turn.
        tenant = await self._owners.owner(session.id)
        band = access.band if access is not None else "interactive"
        return await session.start(wanted, Client(tenant=tenant, band=band))

    async def steer(self, access: Access | None, session: Session, text: str) -> TurnAccepted:
        """Say something to the running turn.

        Raises:
            NotAllowed: The turn makes calls that somebody else has approved beforehand.
            SessionError: No turn is running, or the text is empty.
        """
        if access is not None and session.approved_beforehand:
            # Who says what the turn does says what is done with the approval of somebody else.
            access.require("approve")
        return await session.steer(text)


def _check_loosened(access: Access | None, wanted: SessionRequest | SessionInfo, *, in_place: bool) -> None:
    """Refuse keys that would begin a session which may do more: to loosen it is to approve it beforehand."""
    loosened = in_place or wanted.hosts or wanted.granted or wanted.access == "open"
    if access is not None and (loosened or wanted.asking == "on-risk"):
        access.require("approve")


def _folder(named: str) -> Path:
    try:
        folder = Path(named).expanduser()
    except RuntimeError as error:
        raise Refusal(f"The folder {named[:100]!r} is nobody's.", hint="Name it from the root on.") from error
    if "\0" in named:
        raise Refusal("A folder's name holds no zero byte.", hint="Name a folder that is there.")
    return folder

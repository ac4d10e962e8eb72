"""The forms with which a person begins a session, begins a turn, and speaks to one that runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from llmasos.agent import Chronicle, Session
from llmasos.api import ErrorBody, SessionInfo, SessionRequest, TurnAccepted, TurnRequest
from llmasos.display import display
from llmasos.errors import LLMasOSError
from llmasos.kernel import Kernel
from llmasos.secrets import Redactor
from llmasos.service.access import Access, Owners
from llmasos.service.console.forms import Form
from llmasos.service.refusals import CONSOLE, Refusal, status_of
from llmasos.service.turns import Turns

_FOLDERS = 20
_LOOKED_THROUGH = 1000


class SessionView(Protocol):
    """A session's page, as far as forms on it need it."""

    async def session(self, request: Request) -> Session:
        """Return the session that a request names, if whoever asks may use it."""

    async def draw(
        self,
        request: Request,
        session: Chronicle,
        status: int = 200,
        *,
        refused: ErrorBody | None = None,
        text: str = "",
    ) -> Response:
        """Return the page, with why what was said could not be."""


class TurnForms:
    """What is said on a session's page; what is refused is shown there, and the text stays.

    Args:
        kernel: The kernel.
        page: The page.
    """

    def __init__(self, kernel: Kernel, page: SessionView) -> None:
        self._turns = Turns(kernel)
        self._redactor = kernel.redactor
        self._page = page

    async def start(self, request: Request, form: Form) -> Response:
        """Begin a turn, with the model that is chosen."""
        access: Access | None = request.state.access
        model, wanted = form.get("model"), TurnRequest(text="", dry_run=bool(form.all("dry_run")))

        async def start(session: Session, text: str) -> TurnAccepted:
            if model and not session.running and model != self.model_of(await session.info()):
                self._turns.here.check(access, model)
                await session.use_model(model)
            return await self._turns.start(access, session, wanted.model_copy(update={"text": text}))

        return await self._said(request, form, start)

    async def steer(self, request: Request, form: Form) -> Response:
        """Say something to the running turn."""

        async def steer(session: Session, text: str) -> TurnAccepted:
            return await self._turns.steer(request.state.access, session, text)

        return await self._said(request, form, steer)

    def values(self, request: Request, info: SessionInfo) -> dict[str, Any]:
        """Return what the form offers: models that may be asked, and which of them is."""
        return {"models_here": self._turns.allowed(request.state.access), "model": self.model_of(info)}

    def model_of(self, info: SessionInfo) -> str:
        """Return the model that a session's next turn asks."""
        return info.model or self._turns.here.default()

    async def _said(
        self, request: Request, form: Form, say: Callable[[Session, str], Awaitable[TurnAccepted]]
    ) -> Response:
        session, text = await self._page.session(request), said(form, "text")
        try:
            await say(session, text)
        except Refusal:
            # What limits refuse is counted and recorded on its way out.
            raise
        except LLMasOSError as error:
            refused = shown(self._redactor, error)
            return await self._page.draw(
                request, session.chronicle, status_of(error), refused=refused, text=text
            )
        # The page's focus goes where the next thing is said.
        return RedirectResponse(f"{CONSOLE}/sessions/{session.id}#say", 303)


class BeginningForm:
    """The form, above the list of sessions, that begins one.

    Args:
        kernel: The kernel.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._owners = Owners(kernel.store)
        self._turns = Turns(kernel)

    async def begin(self, request: Request, form: Form, draw: Callable[..., Awaitable[Response]]) -> Response:
        """Begin a session, and lead to its page.

        Args:
            request: Who asks.
            form: What was filled in.
            draw: Returns the page with the list, with what is said of a form that is refused.
        """
        wanted = SessionRequest(folder=form.get("folder").strip(), model=form.get("model"))
        try:
            if not wanted.folder:
                raise Refusal("No folder is named.", hint="Name the folder that the session works on.")
            session = await self._turns.begin(request.state.access, wanted)
        except LLMasOSError as error:
            refused = shown(self._kernel.redactor, error)
            return await draw(request, status_of(error), refused=refused, given=wanted)
        return RedirectResponse(f"{CONSOLE}/sessions/{session.id}#say", 303)

    async def values(self, request: Request) -> dict[str, Any]:
        """Return what the form offers: the folders of past sessions, and models that may be asked."""
        access: Access | None = request.state.access
        infos = await self._kernel.sessions.list(None, _LOOKED_THROUGH)
        seen = dict.fromkeys(info.folder for info in await self._owners.visible(access, infos))
        # A field gives back what it shows, which must be the folder's name.
        folders = [folder for folder in seen if display(folder) == folder][:_FOLDERS]
        given = SessionRequest(folder=folders[0] if folders else "")
        models = self._turns.allowed(access)
        return {"folders": folders, "models_here": models, "given": given, "refused": None}


def shown(redactor: Redactor, error: LLMasOSError) -> ErrorBody:
    """Return an error as pages show it."""
    return redactor.value(ErrorBody(code=error.code, message=error.message, hint=error.hint))


def said(form: Form, name: str) -> str:
    """Return a text of several lines, as the person wrote it."""
    # Browsers send lines as networks once ended them.
    return form.get(name).replace("\r\n", "\n")

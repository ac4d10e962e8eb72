"""All sessions of a kernel: created, found again, recovered after a crash."""

from __future__ import annotations

import logging
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import anyio
from anyio.abc import TaskGroup

from llmasos.agent import _records as records
from llmasos.agent.chronicle import Chronicle
from llmasos.agent.lineage import Place
from llmasos.agent.recording import record
from llmasos.agent.rulebook import policy_for
from llmasos.agent.services import Services
from llmasos.agent.session import Session
from llmasos.agent.stream import EventStream
from llmasos.api import SessionInfo, SessionRequest
from llmasos.events import Notice
from llmasos.sandbox import AllowedHosts, Workspace, check_grants

_log = logging.getLogger(__name__)
_FORKED = re.compile(r" · from turn \d+\Z")


class Sessions:
    """The sessions of a kernel; those that are in use stay open."""

    def __init__(self, services: Services, tasks: TaskGroup) -> None:
        self.services = services
        self._tasks = tasks
        self._open: dict[str, Session] = {}
        self._told: dict[str, Chronicle] = {}
        self._lock = anyio.Lock()

    @property
    def running(self) -> int:
        """How many sessions run a turn."""
        return sum(session.running for session in self._open.values())

    async def create(
        self,
        folder: Path,
        *,
        model: str = "",
        in_place: bool = False,
        hosts: Sequence[str] = (),
        granted: Sequence[str] = (),
        access: str = "",
        asking: str = "",
    ) -> Session:
        """Begin a session on a folder; what its code may reach and see is recorded with it.

        Args:
            folder: The folder.
            model: The model, or empty for the default.
            in_place: Work on the folder itself, without a view.
            hosts: Hosts that code may reach, beside those of the settings.
            granted: Hidden files that code may see, as globs, beside those of the settings.
            access: What is possible at all; empty for what the settings say.
            asking: When a person is asked; empty for what the settings say.

        Raises:
            WorkspaceError: The folder is not there, or cannot be used.
            ModelError: There is no such model.
            ConfigError: A host is not a name, or opens too much; a hidden file is none of the folder.
            LedgerError: The session cannot be recorded.
        """
        if model:
            self.services.models.profile(model)
        AllowedHosts(hosts)
        check_grants(granted)
        info = new_session_info(
            SessionRequest.model_validate(
                {
                    "folder": str(folder.expanduser().absolute()),
                    "model": model,
                    "in_place": in_place or self.services.settings.in_place,
                    "hosts": tuple(hosts),
                    "granted": tuple(granted),
                    "access": access,
                    "asking": asking,
                }
            )
        )
        state = self._state(info.id)
        with _whole_or_not(state):
            workspace = await self._workspace(info)
        return await self._begin(info, workspace)

    async def fork(self, session: str, turn: str = "") -> Session:
        """Begin a session that goes on from a turn of another one, on the same folder and with its options.

        Changes that were not written come along when it is the newest turn; otherwise the fork begins with
        the folder as it is.

        Args:
            session: The other one.
            turn: The turn, by its id or number; the newest that has ended when it is empty.

        Raises:
            SessionError: There is no such session or turn, or the turn has not ended.
            WorkspaceError: The folder is gone.
        """
        source = await self.get(session)
        fork = new_session_id()
        state = self._state(fork)
        with _whole_or_not(state):
            # Nothing begins, is written or is dropped between the look at the place and that at the view.
            async with source.workbench.turns:
                place = await records.place_in(self.services.store, session, turn)
                state.mkdir(mode=0o700, parents=True)
                changed = bool(await source.workbench.workspace.changed())
                if changed and place.newest:
                    await source.workbench.copy_view(state)
                info = await source.info()
            now = datetime.now(UTC)
            info = info.model_copy(
                update={
                    "id": fork,
                    "title": _fork_title(info.title, place.number),
                    "created": now,
                    "updated": now,
                    "parent": place.session,
                    "parent_turn": place.number,
                }
            )
            workspace = await self._workspace(info)
        begun = await self._begin(info, workspace, place)
        text = f"Forked from {place.session} after its turn {place.number}."
        if changed and place.newest:
            text += " The changes that were not written are here, too."
        elif changed:
            text += f" The changes that were not written stay in {session}; here, the folder is as it is."
        await begun.stream.append(Notice(text=text))
        return begun

    async def _begin(self, info: SessionInfo, workspace: Workspace, place: Place | None = None) -> Session:
        info = info.model_copy(update={"folder": str(workspace.folder)})
        with _whole_or_not(self._state(info.id)):
            await records.insert_session(self.services.store, info, place)
        policy = await anyio.to_thread.run_sync(policy_for, self.services.settings, workspace.folder)
        await record(
            self.services.ledger,
            info.id,
            "session",
            folder_sha256=records.sha256_text(info.folder),
            in_place=info.in_place,
            hosts=list(info.hosts),
            granted=list(info.granted),
            access=info.access,
            asking=info.asking,
            policy=policy.version,
            backend=self.services.provider.backend,
            forked_from=place.session if place else None,
            forked_turn=place.turn if place else None,
        )
        return await self._add(info, workspace)

    async def get(self, session: str) -> Session:
        """Return a session by its id, opening it again if it was closed.

        Raises:
            SessionError: There is no such session.
            WorkspaceError: Its folder is gone.
        """
        async with self._lock:
            if session in self._open:
                return self._open[session]
            info = await records.load_session(self.services.store, session)
            return await self._add(info, await self._workspace(info))

    async def chronicle(self, session: str) -> Chronicle:
        """Return what is kept of a session, the folder of which may be gone.

        Raises:
            SessionError: There is no such session.
        """
        async with self._lock:
            if session not in self._told:
                await records.load_session(self.services.store, session)
            return await self._chronicle(session)

    async def list(self, folder: Path | None = None, limit: int = 100) -> list[SessionInfo]:
        """Return the newest sessions, of one folder or of all."""
        infos = await records.list_sessions(self.services.store, str(folder) if folder else None, limit)
        running = {session.id for session in self._open.values() if session.running}
        return [info.model_copy(update={"running": info.id in running}) for info in infos]

    async def recover(self) -> None:
        """Finish or roll back what a crash interrupted, in every session concerned."""
        interrupted = set(await records.interrupted_sessions(self.services.store))
        for state in sorted(self.states.glob("s-*")):
            if state.name not in interrupted and not Workspace.needs_recovery(state):
                continue
            try:
                session = await self.get(state.name)
                await session.recover()
            except Exception as error:
                # One session that cannot be mended must not keep the others from being used.
                _log.exception("the session %s could not be recovered", state.name, exc_info=error)

    async def close(self) -> None:
        """Close every open session."""
        async with anyio.create_task_group() as group:
            for session in self._open.values():
                group.start_soon(session.close)
        for chronicle in self._told.values():
            chronicle.stream.close()
        self._open.clear()
        self._told.clear()

    def warm(self, model: str) -> None:
        """Load a model in the background, while the person types; a turn that needs it says what went wrong.

        Args:
            model: Its name, or empty for the default; one that is not on the disk is not fetched.
        """
        self._tasks.start_soon(self._warm, model)

    async def _warm(self, model: str) -> None:
        models = self.services.models
        name = model or models.status()[0].name
        if any(known.name == name and known.state == "cached" for known in models.status()):
            try:
                await models.resolve(name, tools=self.services.definitions)
            except Exception as error:
                _log.warning("the model %s could not be loaded ahead of time: %s", name, error)

    async def _add(self, info: SessionInfo, workspace: Workspace) -> Session:
        chronicle = await self._chronicle(info.id)
        session = Session(info, self.services, chronicle, workspace, self._state(info.id), self._tasks)
        await session.workbench.learn_secrets()
        self._open[info.id] = session
        return session

    async def _chronicle(self, session: str) -> Chronicle:
        # Whoever follows a session before it is opened again hears what happens then.
        if session not in self._told:
            stream = await EventStream.open(self.services.store, session, self.services.redactor)
            told = Chronicle(self.services.store, session, stream, lambda: self._runs(session))
            # Of one that has just begun, another reader may have opened it meanwhile.
            self._told.setdefault(session, told)
        return self._told[session]

    def _runs(self, session: str) -> bool:
        return session in self._open and self._open[session].running

    async def _workspace(self, info: SessionInfo) -> Workspace:
        settings = self.services.settings

        def open_() -> Workspace:
            return Workspace.open(
                Path(info.folder),
                self._state(info.id),
                hidden=settings.hidden,
                granted=(*settings.granted, *info.granted),
                in_place=info.in_place,
            )

        return await anyio.to_thread.run_sync(open_)

    @property
    def states(self) -> Path:
        """The folder with what each session keeps of its own."""
        return self.services.settings.data_dir / "workspaces"

    def _state(self, session: str) -> Path:
        return self.states / session


def new_session_id() -> str:
    """Return an id that no session has."""
    return f"s-{secrets.token_hex(5)}"


def new_session_info(request: SessionRequest) -> SessionInfo:
    """Return the description of a session that begins now."""
    now = datetime.now(UTC)
    return SessionInfo(id=new_session_id(), created=now, updated=now, **dict(request))


@contextmanager
def _whole_or_not(state: Path) -> Iterator[None]:
    """Remove a session's own folder when the session is not begun after all."""
    try:
        yield
    except BaseException:
        shutil.rmtree(state, ignore_errors=True)
        raise


def _fork_title(title: str, turn: int) -> str:
    """Return a session's name with the turn that a fork goes on from, which tells both apart in lists."""
    return f"{_FORKED.sub('', title)} · from turn {turn}" if title else ""

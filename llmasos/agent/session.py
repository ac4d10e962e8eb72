"""A session: one folder, one conversation, one view, one sandbox, one turn at a time."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import anyio
from anyio.abc import TaskGroup
from pydantic_ai.messages import ModelMessagesTypeAdapter
from pydantic_ai.models import Model

from llmasos.agent import _records as records
from llmasos.agent.approvals import Approvals
from llmasos.agent.asker import asker
from llmasos.agent.assembly import Assembly
from llmasos.agent.briefing import Briefing
from llmasos.agent.chronicle import Chronicle
from llmasos.agent.conversation import REMEMBERED, Conversation
from llmasos.agent.listening import Listening
from llmasos.agent.memory import Memory
from llmasos.agent.metering import Used
from llmasos.agent.model_choice import ModelChoice
from llmasos.agent.offer import Offer
from llmasos.agent.one_call import PERSON
from llmasos.agent.policy import takes_effect_later
from llmasos.agent.recovery import settle
from llmasos.agent.requests import attached, prompt
from llmasos.agent.rulebook import Rulebook
from llmasos.agent.services import Services
from llmasos.agent.steering import Steering, over, whole
from llmasos.agent.turn import TurnEnd, abridged, explain
from llmasos.agent.workbench import Workbench
from llmasos.api import (
    AccessRequest,
    Compacted,
    Diff,
    SessionInfo,
    TurnAccepted,
    TurnRequest,
)
from llmasos.decisions import Source
from llmasos.display import display
from llmasos.errors import LLMasOSError, RunningTurnError, SessionError
from llmasos.events import (
    DiffOffered,
    Notice,
    TurnFinished,
    TurnStarted,
    TurnSteered,
    Usage,
)
from llmasos.models import Client
from llmasos.sandbox import Workspace
from llmasos.story import asked

_log = logging.getLogger(__name__)
# What git keeps for itself; of the rest of its files the diff tells what runs by itself.
_GIT = re.compile(r"(?:.*/)?\.git(?:/.*)?", re.DOTALL | re.IGNORECASE)
_PERSON = Client(band="interactive")
_NAMED = 5


class Session:
    """A session, open in the kernel."""

    def __init__(
        self,
        info: SessionInfo,
        services: Services,
        chronicle: Chronicle,
        workspace: Workspace,
        state: Path,
        tasks: TaskGroup,
    ) -> None:
        self._info = info
        self._services = services
        self._tasks = tasks
        self._running: anyio.CancelScope | None = None
        self._turn = ""
        self._steering: Steering | None = None
        self._saying = anyio.Lock()
        self._idle = anyio.Event()
        self._idle.set()
        self._closed = False
        self.chronicle = chronicle
        self.stream = stream = chronicle.stream
        self.workbench = Workbench(info, services, stream, workspace, state, tasks, lambda: self.running)
        self.rulebook = Rulebook(services.settings, self.folder, services.ledger, info.id)
        self.approvals = Approvals("ask", services.settings.policy.approval_seconds)
        self._conversation = Conversation(services.store, info.id, stream)
        self._listening: Listening | None = None
        self._noticed: set[str] = set()
        self._offer = Offer(services.registry, set())
        self._choice = ModelChoice(services, stream, info.id)

    @property
    def id(self) -> str:
        """The session's id."""
        return self._info.id

    @property
    def running(self) -> bool:
        """Whether a turn is running."""
        return self._running is not None

    @property
    def folder(self) -> Path:
        """The person's folder."""
        return self.workbench.folder

    async def info(self) -> SessionInfo:
        """Return the session as lists show it."""
        return await self.chronicle.info()

    async def compact(self, keep: int) -> Compacted:
        """Have the model told all but the newest turns in short from now on.

        Args:
            keep: How many turns it is told whole.

        Raises:
            SessionError: A turn is running.
        """
        async with self.workbench.turns:
            if self.running:
                raise SessionError(
                    "A session cannot be compacted while a turn runs.", hint="Wait for it, or cancel it."
                )
            context = self._services.models.context(self._info.model or None)
            return await self._conversation.compact(keep, context)

    async def use_model(self, name: str) -> bool:
        """Choose the model of the turns to come; return whether it is known to be there.

        Raises:
            ModelError: There is no such model.
        """
        known = await self._services.models.check_name(name)
        await self._update(model=name)
        return known

    async def allow(self, request: AccessRequest) -> None:
        """Change which hosts the session's code may reach, and which hidden files it may see."""
        await self.workbench.allow(request)
        await self._update(**request.model_dump(exclude_none=True))

    async def _update(self, **fields: object) -> None:
        self._info = self._info.model_copy(update=fields)
        await records.update_session(self._services.store, self._info)

    async def start(self, request: TurnRequest, client: Client = _PERSON) -> TurnAccepted:
        """Store a turn and start it in the background.

        Args:
            request: What is to be done.
            client: On whose behalf: its tenant, and the most urgent band that it may have.

        Raises:
            RunningTurnError: A turn is running.
            SessionError: The text is empty.
        """
        async with self.workbench.turns:
            if self._running is not None:
                raise RunningTurnError(
                    "A turn is running in this session.", hint="Wait for it, or cancel it."
                )
            request = self._services.redactor.value(request)
            if not request.text.strip():
                raise SessionError("The request is empty.", hint="Say what you want done.")
            if request.dry_run:
                await self._refuse_dry_run()
            turn = f"t-{secrets.token_hex(6)}"
            # What is said to it waits until it has begun.
            async with self._saying:
                scope = self._running = anyio.CancelScope()
                # A call that a person makes themselves is answered by no model that could read more.
                self._turn, self._steering = turn, Steering() if request.call is None else None
                self._idle = anyio.Event()
                self.approvals.begin(request.approve, request.approved, str(asker()))
                after = self.stream.last
                try:
                    await self._insert(turn, request)
                except BaseException:
                    self._running = None
                    self._idle.set()
                    raise
        self._tasks.start_soon(self._carry_out, turn, request, scope, client)
        return TurnAccepted(turn=turn, after=after)

    async def _insert(self, turn: str, request: TurnRequest) -> None:
        started = TurnStarted(
            turn=turn,
            text=request.text,
            attachments=tuple(attachment.name for attachment in request.attachments),
            model=self._info.model or self._services.models.status()[0].name,
            sandbox=self._services.provider.backend,
            dry_run=request.dry_run,
            in_place=self._info.in_place,
            call=request.call.tool if request.call is not None else "",
        )
        await records.insert_turn(self._services.store, self.id, turn, title=asked(started))
        await self.stream.append(started)

    @property
    def approved_beforehand(self) -> bool:
        """Whether a turn is running that may make calls for which nobody is asked any more."""
        return self.running and self.approvals.beforehand

    async def steer(self, text: str) -> TurnAccepted:
        """Say something to the running turn; the model reads it with the next request that it gets.

        Raises:
            IdleSessionError: No turn is running, or the one that is has just ended.
            SessionError: The turn asks no model, or the text is empty.
        """
        text = self._services.redactor.text(text)
        if not text.strip():
            raise SessionError("There is nothing to say to the turn.", hint="Say what should be different.")
        async with self._saying:
            if self._running is None:
                raise over()
            if self._steering is None:
                raise SessionError(
                    "This turn makes one call, and asks no model that could read more.",
                    hint="Wait for it, or cancel it.",
                )
            self._steering.say(text)
            with anyio.CancelScope(shield=True):
                told = await self.stream.append(TurnSteered(turn=self._turn, text=text))
        return TurnAccepted(turn=told.turn, after=told.seq)

    async def cancel(self) -> None:
        """Cancel the running turn, and return when it has ended; without one, do nothing."""
        if self._running is not None:
            self._running.cancel()
        await self._idle.wait()

    async def _refuse_dry_run(self) -> None:
        if self._info.in_place:
            raise SessionError(
                "A session that works in place cannot be run dry.", hint="Begin one without --in-place."
            )
        if (await self.workbench.diff()).changes:
            raise SessionError(
                "A dry run drops its changes at the end, and there are changes of earlier turns.",
                hint="Write them with /commit, or drop them with /discard.",
            )

    async def wait(self) -> None:
        """Return when no turn is running."""
        await self._idle.wait()

    async def _carry_out(
        self, turn: str, request: TurnRequest, scope: anyio.CancelScope, client: Client
    ) -> None:
        end = TurnEnd("cancelled", error="Cancelled.")
        began = anyio.current_time()
        try:
            with scope:
                end = await self._run(turn, request, client)
        except Exception as error:
            # Whatever goes wrong ends this turn, and nobody else's.
            end = explain(error)
        finally:
            with anyio.CancelScope(shield=True):
                try:
                    said = await self._hear_out()
                    if not end.usage.seconds:
                        took = round(anyio.current_time() - began, 3)
                        end = replace(end, usage=end.usage.model_copy(update={"seconds": took}))
                    if not end.messages:
                        why = "It was cancelled." if end.status == "cancelled" else end.error
                        end = replace(end, messages=abridged(whole(request.text, said), why))
                    await self._end(turn, end, dry_run=request.dry_run)
                except Exception as error:
                    # The next start will find the turn unfinished; those who wait are told now.
                    _log.exception("the end of a turn could not be stored", exc_info=error)
                    self.stream.announce(finished(turn, explain(error)))
                finally:
                    self._running = None
                    self._idle.set()

    async def _hear_out(self) -> Sequence[str]:
        """Let nothing more be said to the turn, and return all that was."""
        async with self._saying:
            if self._steering is None:
                return ()
            for text in self._steering.close():
                if self._listening is not None:
                    self._listening.person(text)
            return self._steering.said

    async def _run(self, turn: str, request: TurnRequest, client: Client) -> TurnEnd:
        services, used = self._services, Used()
        await self.workbench.learn_secrets()
        await self.workbench.sandbox.refresh(turn)
        for notice in (*await self._notices(), *await self.rulebook.refresh()):
            await self.stream.append(Notice(turn=turn, level="warning", text=notice))
        model, origin = await self._choice.first(turn, request, self._info.model or None, client, used)

        async def other_model(name: str) -> Model:
            return (await self._choice.named(turn, name, client, used))[0]

        names = await self.workbench.workspace.names()
        facts = await Memory(services.store, services.redactor).list(self._info.folder, client.tenant)
        small = services.models.profile(self._info.model or None) == "calls"
        briefing = Briefing(names, facts, small)
        listening = self._listen()
        listening.request(request, names, facts)
        parts = Assembly(
            services,
            self.stream,
            self.workbench,
            self.approvals,
            self.rulebook,
            listening,
            self._offer,
            self._tasks,
        )
        made = parts.turn(
            turn,
            self._info,
            request,
            model,
            origin,
            briefing.instructions,
            await self._conversation.history(services.models.context(self._info.model or None), turn),
            other_model,
            self._steering,
        )
        end = await made.turn.run(prompt(request))
        if origin is PERSON:
            # No model has read anything: what the call looks like to the loop costs nobody a token.
            end = replace(end, usage=Usage(seconds=end.usage.seconds))
        end = replace(
            end,
            usage=used.at_least(end.usage + made.contexts.spent),
            messages=briefing.without_facts(end.messages),
        )
        if end.status in ("done", "limit") and (missing := made.consent.missing):
            return TurnEnd(
                "approval_needed",
                end.answer,
                f"{missing} action(s) needed an approval that nobody was there to give.",
                "Run it in the shell, or approve one beforehand with --approve HASH, or all with --yes.",
                end.usage,
                end.messages,
            )
        return end

    async def _notices(self) -> Sequence[str]:
        """Return what is to be said of tools of others, each thing once in a session."""
        notices = [text for text in await self._services.refresh_others() if text not in self._noticed]
        self._noticed.update(notices)
        return notices

    async def _end(self, turn: str, end: TurnEnd, *, dry_run: bool = False) -> None:
        try:
            diff = await self.workbench.diff()
        except LLMasOSError as error:
            await self.stream.append(Notice(turn=turn, level="error", text=str(error)))
            diff = Diff()
        told = (change.path for change in diff.changes if not change.runs and not _GIT.fullmatch(change.path))
        if later := takes_effect_later(told):
            names = ", ".join(map(display, later[:_NAMED])) + (" …" if len(later) > _NAMED else "")
            text = f"Your own programs obey these once they are written, outside of the sandbox: {names}."
            await self.stream.append(Notice(turn=turn, level="warning", text=text))
        if diff.changes:
            await self.stream.append(DiffOffered(turn=turn, dry_run=dry_run, **dict(diff)))
            if dry_run:
                await self.workbench.drop()
        kept = self._services.redactor.value(list(end.messages))
        messages = ModelMessagesTypeAdapter.dump_json(kept).decode()
        await records.finish_turn(self._services.store, self.id, turn, end.status, messages, end.usage)
        await self.stream.append(finished(turn, end))

    def _listen(self) -> Listening:
        """Return what knows who has said what in this session."""
        if self._listening is None or self._listening.failed:
            self._listening = Listening(self.stream, self._services.registry, self._attached)
            self._listening.begin(self._tasks)
        return self._listening

    async def _attached(self) -> Iterable[tuple[str, Source]]:
        stored = await records.recent_messages(self._services.store, self.id, REMEMBERED)
        return attached([one for turn in stored for one in ModelMessagesTypeAdapter.validate_json(turn)])

    async def recover(self) -> None:
        """After a crash, mark what was interrupted: unfinished actions are unknown and are not run again."""
        for turn in await records.unfinished_turns(self._services.store, self.id):
            events = await self.stream.read(turn=turn)
            dry_run = any(isinstance(event, TurnStarted) and event.dry_run for event in events)
            end = await settle(turn, self.id, self.stream, self._services.ledger)
            await self._end(turn, end, dry_run=dry_run)

    async def close(self) -> None:
        """Cancel what runs, close the sandbox and end the stream."""
        if self._closed:
            return
        self._closed = True
        await self.cancel()
        await self.workbench.sandbox.close()
        self.stream.close()


def finished(turn: str, end: TurnEnd) -> TurnFinished:
    """Return the event that ends a turn."""
    return TurnFinished(
        turn=turn, status=end.status, answer=end.answer, error=end.error, hint=end.hint, usage=end.usage
    )

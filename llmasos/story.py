"""The story of a session: its events put together to turns, and what is in them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from llmasos.decisions import ArgumentOrigin, Decision
from llmasos.display import display
from llmasos.events import (
    ActionFinished,
    ActionStarted,
    ApprovalRequested,
    ApprovalResolved,
    ArtifactKept,
    AssistantText,
    CallDecided,
    DiffOffered,
    Event,
    Notice,
    TurnFinished,
    TurnStarted,
    TurnSteered,
    WorkspaceChanged,
)

_COMMAND = "Run the command: "


def command_request(command: str) -> str:
    """Return the request of a turn that runs a command of the shell, which a person has typed after a `!`."""
    return f"{_COMMAND}{command}"


def command_of(start: TurnStarted) -> str:
    """Return the command that a turn was begun with in place of a request; empty where it was a request."""
    typed = start.call == "run_shell" and start.text.startswith(_COMMAND)
    return start.text.removeprefix(_COMMAND) if typed else ""


def asked(start: TurnStarted) -> str:
    """Return what a person typed to begin a turn, such as `! ls -l`."""
    command = command_of(start)
    return f"! {command}" if command else start.text


@dataclass
class Action:
    """A call of a tool, from what was decided of it to what came of it."""

    kind: ClassVar = "action"
    id: str
    tool: str
    arguments: dict[str, Any] = field(default_factory=dict)
    parent: str = ""
    decisions: list[CallDecided | ApprovalResolved] = field(default_factory=list)
    origins: tuple[ArgumentOrigin, ...] = ()
    request: ApprovalRequested | None = None
    answer: ApprovalResolved | None = None
    started: bool = False
    end: ActionFinished | None = None
    artifacts: list[ArtifactKept] = field(default_factory=list)

    @property
    def decision(self) -> Decision | None:
        """What the policy decided last."""
        decided = (event.decision for event in reversed(self.decisions) if isinstance(event, CallDecided))
        return next(decided, None)

    @property
    def waits(self) -> bool:
        """Whether a person is waited for."""
        return self.request is not None and self.answer is None and self.end is None

    @property
    def status(self) -> str:
        """How it stands."""
        if self.end is not None:
            return self.end.status
        return "waiting" if self.waits else "running"

    @property
    def editable(self) -> dict[str, str]:
        """The arguments that a person can change: texts in which nothing is hidden."""
        texts = {name: value for name, value in self.arguments.items() if isinstance(value, str)}
        return {name: text for name, text in texts.items() if display(text, keep_newlines=True) == text}

    @property
    def suspect(self) -> list[tuple[str, Any]]:
        """The pieces of its arguments that others may have written, each with its argument's name."""
        return [
            (origin.argument, span)
            for origin in self.origins
            for span in origin.spans
            if not span.source.trusted
        ]


@dataclass
class Said:
    """What the model wrote."""

    kind: ClassVar = "said"
    id: str
    text: str


@dataclass
class Told:
    """A notice, what a person said meanwhile, changes that were offered, or what became of them."""

    id: str
    event: Notice | TurnSteered | DiffOffered | WorkspaceChanged

    @property
    def kind(self) -> str:
        """What it is."""
        return self.event.type


Entry = Action | Said | Told


@dataclass
class Turn:
    """A request with what was done for it.

    Args:
        start: How it began.
        number: Its number in the session, from 1.
        entries: What was said and done, in order.
        end: How it ended.
        later: What was done between its end and the next turn, such as a commit.
    """

    start: TurnStarted
    number: int
    entries: list[Entry] = field(default_factory=list)
    end: TurnFinished | None = None
    later: list[Entry] = field(default_factory=list)

    @property
    def id(self) -> str:
        """The turn's id."""
        return self.start.turn

    @property
    def asked(self) -> str:
        """What the person typed."""
        return asked(self.start)

    @property
    def command(self) -> str:
        """The command that it was begun with in place of a request."""
        return command_of(self.start)


class Story:
    """The turns of a session, oldest first.

    Args:
        events: What has happened so far.
        before: How many turns the session had before these.
    """

    def __init__(self, events: Iterable[Event] = (), before: int = 0) -> None:
        self._before = before
        self.opening: list[Entry] = []
        """What was done before the first turn."""
        self.turns: dict[str, Turn] = {}
        self._actions: dict[str, Action] = {}
        self.last = 0
        for event in events:
            self.add(event)

    @property
    def running(self) -> bool:
        """Whether its last turn runs."""
        return bool(self.turns) and next(reversed(self.turns.values())).end is None

    def action(self, id: str) -> Action | None:
        """Return one of its calls, where there is one of this id."""
        return self._actions.get(id)

    @property
    def waiting(self) -> list[Action]:
        """The calls of its running turn that wait for a person."""
        last = next(reversed(self.turns.values()), None)
        entries = last.entries if last is not None and last.end is None else []
        return [entry for entry in entries if isinstance(entry, Action) and entry.waits]

    def add(self, event: Event) -> tuple[Turn | None, Entry | None]:
        """Add a stored event, and return the turn and the entry that are new, or other than before."""
        self.last = event.seq or self.last
        if isinstance(event, TurnStarted):
            self.turns[event.turn] = Turn(event, self._before + len(self.turns) + 1)
        turn = self.turns.get(event.turn) or next(reversed(self.turns.values()), None)
        if isinstance(event, TurnFinished) and turn is not None:
            turn.end = event
        entries = self.opening if turn is None else turn.later if turn.end is not None else turn.entries
        return turn, self._entry(event, entries)

    def _entry(self, event: Event, entries: list[Entry]) -> Entry | None:
        """Return what an event tells, which stands among the entries from now on."""
        match event:
            case AssistantText():
                entries.append(Said(f"e-{event.seq}", event.text))
            case Notice() | TurnSteered() | DiffOffered() | WorkspaceChanged():
                entries.append(Told(f"e-{event.seq}", event))
            case _ if hasattr(event, "action"):
                return self._action(event, entries)
            case _:
                return None
        return entries[-1]

    def _action(self, event: Any, entries: list[Entry]) -> Action:
        action = self._actions.get(event.action)
        if action is None:
            action = self._actions[event.action] = Action(event.action, getattr(event, "tool", ""))
            entries.append(action)
        action.tool = action.tool or getattr(event, "tool", "")
        match event:
            case CallDecided():
                # Arguments that a person has edited are decided on anew.
                action.arguments, action.parent = event.arguments, event.parent
                action.origins = event.origins
                action.decisions.append(event)
            case ApprovalRequested():
                action.request, action.answer = event, None
                action.arguments, action.origins = event.arguments, event.origins
            case ApprovalResolved():
                action.answer = event
                action.decisions.append(event)
            case ActionStarted():
                action.started, action.arguments, action.parent = True, event.arguments, event.parent
            case ArtifactKept():
                action.artifacts.append(event)
            case ActionFinished():
                action.end = event
                action.arguments = event.arguments or action.arguments
        return action

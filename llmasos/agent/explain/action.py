"""One action of a turn: its events, and what the ledger recorded of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from llmasos.agent.explain.log import Log
from llmasos.api import RecordInfo
from llmasos.events import (
    ActionFinished,
    ActionStarted,
    ApprovalRequested,
    ApprovalResolved,
    AssistantText,
    CallDecided,
    Event,
)


@dataclass
class Action:
    """The events and records of one action.

    Args:
        id: The action.
        said: What the model wrote before it.
        asked: The requests to a person, each with its answer.
    """

    id: str
    said: str = ""
    events: list[Event] = field(default_factory=list)
    records: list[RecordInfo] = field(default_factory=list)
    decided: list[CallDecided] = field(default_factory=list)
    asked: list[tuple[ApprovalRequested | None, ApprovalResolved | None]] = field(default_factory=list)
    started: ActionStarted | None = None
    finished: ActionFinished | None = None

    def add(self, event: Event) -> None:
        """Take the next event of the action."""
        self.events.append(event)
        match event:
            case CallDecided():
                self.decided.append(event)
            case ApprovalRequested():
                self.asked.append((event, None))
            case ApprovalResolved():
                waiting = bool(self.asked) and self.asked[-1][1] is None
                self.asked.append((self.asked.pop()[0] if waiting else None, event))
            case ActionStarted():
                self.started = event
            case ActionFinished():
                self.finished = event

    @property
    def tool(self) -> str:
        """The tool's name."""
        requests = (request for request, _ in self.asked)
        events = (self.started, self.finished, *requests, *self.decided)
        named = (event.tool for event in events if event is not None)
        return next(named, next((record.tool for record in self.records), ""))

    @property
    def arguments(self) -> dict[str, Any] | None:
        """The arguments, as they were at last."""
        decided = self.decided[-1] if self.decided else None
        request = next((request for request, _ in reversed(self.asked) if request is not None), None)
        holding = (self.started, decided, request, self.finished)
        return next((event.arguments for event in holding if event and event.arguments is not None), None)

    @property
    def invalid(self) -> bool:
        """Whether it was refused before the policy was asked."""
        return self.finished is not None and self.finished.status == "invalid"

    @property
    def parent(self) -> str:
        """The action whose code made the call."""
        told = (
            event.parent for event in (*self.decided, self.started, self.finished) if event and event.parent
        )
        recorded = (str((record.body or {}).get("parent", "")) for record in self.records)
        return next(told, "") or next(filter(None, recorded), "")


def actions_of(log: Log) -> dict[str, Action]:
    """Return the actions of a turn, in the order in which they are first heard of."""
    actions: dict[str, Action] = {}
    text = ""
    for event in log.events:
        id = getattr(event, "action", "")
        if isinstance(event, AssistantText):
            text = event.text
        elif id:
            action = actions.setdefault(id, Action(id))
            if not action.events and not action.said:
                action.said = text
            action.add(event)
            if isinstance(event, ActionFinished) and not action.parent:
                text = ""
    for record in log.records:
        actions.setdefault(record.action, Action(record.action)).records.append(record)
    if log.place.action:
        actions.setdefault(log.place.action, Action(log.place.action))
    return actions


def chosen(actions: dict[str, Action], one: str) -> list[Action]:
    """Return all actions, or one with those that its code called."""
    if not one:
        return list(actions.values())
    wanted, chosen = {one}, []
    for action in actions.values():
        if action.id in wanted or action.parent in wanted:
            wanted.add(action.id)
            chosen.append(action)
    return chosen

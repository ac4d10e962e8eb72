"""A digest of turns: all that the person said, and in short what was done and answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from pydantic import BaseModel, ConfigDict
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, UserPromptPart

from llmasos.events import (
    ActionStarted,
    ApprovalResolved,
    DiffOffered,
    Event,
    TurnFinished,
    TurnStarted,
    TurnSteered,
    WorkspaceChanged,
)
from llmasos.models import EARLIER

TOLD = (
    "turn_started",
    "turn_steered",
    "action_started",
    "approval_resolved",
    "diff_offered",
    "workspace_changed",
    "turn_finished",
)
"""The types of events that a digest is made of."""

_UNDERSTOOD = "I keep that in mind."
_LAST_ANSWER = 1500
_MOST_PATHS = 8
_FIRST, _LAST = 5, 5
# What is given up, one after the other, until a digest fits: lengths of answers, and of what the person said.
_STEPS = ((300, 4000), (120, 4000), (0, 4000), (0, 1000), (0, 400))


class Entry(BaseModel):
    """One turn.

    Args:
        number: Its number.
        said: What the person said.
        done: What was called, changed and decided.
        answer: How it was answered.
        calls: How many calls were made.
    """

    model_config = ConfigDict(frozen=True)

    number: int
    said: tuple[str, ...] = ()
    done: str = ""
    answer: str = ""
    calls: int = 0


def entries_of(events: Iterable[Event], numbers: dict[str, int]) -> list[Entry]:
    """Return the entries of turns, in order.

    Args:
        events: A session's events, those of the types in `TOLD`.
        numbers: The numbers of the turns that are wanted, by their ids.
    """
    turns: dict[str, list[Event]] = {turn: [] for turn in numbers}
    newest = ""
    for event in events:
        newest = event.turn or newest
        # What is decided of changes comes after the turn that made them.
        if (turn := event.turn or newest) in turns:
            turns[turn].append(event)
    return sorted(
        (_entry(numbers[turn], found) for turn, found in turns.items()), key=lambda entry: entry.number
    )


def _entry(number: int, events: Sequence[Event]) -> Entry:
    said, answer = [], ""
    tools: Counter[str] = Counter()
    changed: list[str] = []
    decided: list[str] = []
    for event in events:
        match event:
            case TurnStarted() | TurnSteered():
                said.append(event.text)
            case ActionStarted():
                tools[event.tool] += 1
            case ApprovalResolved(approved=False, why=why):
                decided.append(f"the person refused a call{f': {why}' if why else ''}")
            case DiffOffered():
                changed = [f"{change.kind} {change.path}" for change in event.changes]
            case WorkspaceChanged():
                decided.append(f"the person did: {event.what}")
            case TurnFinished():
                answer = event.answer or f"(This was not finished. {event.error})"
    parts = [
        ", ".join(f"{name} ({times})" if times > 1 else name for name, times in tools.items()),
        ", ".join(changed[:_MOST_PATHS]) + (" …" if len(changed) > _MOST_PATHS else ""),
        "; ".join(dict.fromkeys(decided)),
    ]
    return Entry(
        number=number,
        said=tuple(said),
        done="; ".join(filter(None, parts)),
        answer=_cut(answer, _LAST_ANSWER),
        calls=sum(tools.values()),
    )


def digest(entries: Sequence[Entry], most: int) -> str:
    """Return what stands for turns.

    What the person said is kept word for word, as long as there is room; answers are cut first. The last
    answer stays, since it may ask what is still to be answered.

    Args:
        entries: The turns, oldest first.
        most: Characters that it should have at most.
    """
    text = ""
    for answers, words in _STEPS:
        text = _written(entries, answers, words)
        if len(text) <= most:
            return text
    for kept in (200, 50, 20, 0):
        if kept < len(entries) - _FIRST - _LAST:
            text = _written(entries, 0, _STEPS[-1][1], middle=kept)
            if len(text) <= most:
                return text
    return text


def _written(entries: Sequence[Entry], answers: int, words: int, middle: int | None = None) -> str:
    lines = [EARLIER]
    first, rest = list(entries), list(entries[:0])
    if middle is not None:
        first, rest = first[:_FIRST], first[-(_LAST + middle) :]
    for at, entry in enumerate((*first, *rest)):
        if rest and at == len(first):
            lines.append(f"[{len(entries) - len(first) - len(rest)} turns are left out here]")
        last = entry is entries[-1]
        lines += [f"{entry.number}. Person: {_cut(said, words)}" for said in entry.said]
        if entry.done and (answers or last):
            lines.append(f"   Done: {_line(entry.done)}")
        if entry.answer and (answers or last):
            # On one line, an answer cannot pass for what the person said.
            lines.append(f"   You: {_cut(_line(entry.answer), _LAST_ANSWER if last else answers)}")
    return "\n".join(lines)


def messages_of(text: str) -> list[ModelMessage]:
    """Return a digest as the beginning of a conversation."""
    return [ModelRequest([UserPromptPart(text)]), ModelResponse([TextPart(_UNDERSTOOD)])]


def _line(text: str) -> str:
    return " ".join(text.split())


def _cut(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[:half]} [… {len(text) - 2 * half:,} characters …] {text[-half:]}"

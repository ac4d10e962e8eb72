"""A session's events, put in the order in which people read them: turns, and what was done in each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from llmasos.events import (
    ActionFinished,
    ActionStarted,
    ApprovalResolved,
    ArtifactKept,
    AssistantText,
    CallDecided,
    DiffOffered,
    Event,
    FileChange,
    Notice,
    TurnFinished,
    TurnStarted,
    TurnSteered,
    WorkspaceChanged,
)
from llmasos.shell.words import count


@dataclass
class Act:
    """One action: what was called, what was decided, and what came of it."""

    tool: str
    arguments: str = ""
    decisions: list[str] = field(default_factory=list)
    status: str = ""
    result: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Said:
    """A text, and whose it is: `you`, `model` or `notice`."""

    who: str
    text: str


@dataclass
class Chapter:
    """One turn, or what was done between turns.

    Args:
        number: The turn's number; 0 between turns.
        started: How it began.
        parts: What was said and done, in order.
        diff: What it would change in the folder.
        ended: How it ended.
    """

    number: int = 0
    started: TurnStarted | None = None
    parts: list[Said | Act] = field(default_factory=list)
    diff: Sequence[FileChange] = ()
    ended: TurnFinished | None = None


def chapters(events: Sequence[Event]) -> list[Chapter]:
    """Return a session's events as chapters, oldest first."""
    found: list[Chapter] = []
    acts: dict[str, Act] = {}
    turns = 0
    for event in events:
        if isinstance(event, TurnStarted):
            turns += 1
            found.append(Chapter(turns, event))
        if not found or (found[-1].ended is not None and event.turn != found[-1].ended.turn):
            found.append(Chapter())
        _add(found[-1], event, acts)
    return found


def _add(chapter: Chapter, event: Event, acts: dict[str, Act]) -> None:
    match event:
        case TurnSteered():
            chapter.parts.append(Said("you", event.text))
        case AssistantText():
            chapter.parts.append(Said("model", event.text))
        case Notice():
            chapter.parts.append(Said("notice", event.text))
        case ArtifactKept():
            chapter.parts.append(Said("notice", f"Kept {event.name}, {event.size:,} bytes: {event.path}"))
        case WorkspaceChanged():
            what = f"{event.what} {event.commit}".strip()
            chapter.parts.append(Said("notice", f"{what}: {', '.join(event.paths) or 'nothing'}"))
        case CallDecided() | ActionStarted():
            act = _act(chapter, event.action, event.tool, acts)
            act.arguments = json.dumps(event.arguments, ensure_ascii=False, indent=2)
            if isinstance(event, CallDecided):
                made = event.decision
                act.decisions.append(f"{made.verdict} by rule {made.rule}: {made.reason}")
        case ApprovalResolved():
            answer = "approved" if event.approved else "refused"
            always = ", for this pattern from now on" if event.always else ""
            why = f"; {event.why}" if event.why else ""
            _act(chapter, event.action, "", acts).decisions.append(f"{answer} by {event.by}{always}{why}")
        case ActionFinished():
            act = _act(chapter, event.action, event.tool, acts)
            act.status, act.result, act.seconds = event.status, event.result, event.seconds
            if event.arguments is not None:
                act.arguments = json.dumps(event.arguments, ensure_ascii=False, indent=2)
        case DiffOffered():
            chapter.diff = event.changes
        case TurnFinished():
            chapter.ended = event
        case _:
            return


def _act(chapter: Chapter, action: str, tool: str, acts: dict[str, Act]) -> Act:
    act = acts.get(action)
    if act is None:
        act = acts[action] = Act(tool)
        chapter.parts.append(act)
    act.tool = act.tool or tool
    return act


def outcome(act: Act) -> str:
    """Return how an action ended, in a few words."""
    took = f", {act.seconds:.1f} s" if act.seconds >= 0.05 else ""
    return f"{act.status or 'no end'}{took}"


def ending(chapter: Chapter) -> str:
    """Return how a turn ended and what it used; empty between turns."""
    if chapter.started is None:
        return ""
    ended = chapter.ended
    if ended is None:
        return "No end is stored."
    used = ended.usage
    tokens = f"{used.input_tokens:,} tokens read, {used.output_tokens:,} written"
    how = f"{ended.status}: {' '.join((ended.error, ended.hint)).strip()}" if ended.error else ended.status
    return f"{how} · {count(used.requests, 'request')} · {tokens} · {used.seconds:.1f} s"


def changed(change: FileChange) -> str:
    """Return what became of a path, on one line."""
    source = f"{change.source} → " if change.source else ""
    return f"{change.kind} {source}{change.path}" + (f" ({change.detail})" if change.detail else "")


def facts(chapter: Chapter) -> Iterator[str]:
    """Give what is known of how a turn was run."""
    started = chapter.started
    if started is not None:
        yield f"{started.at.astimezone():%Y-%m-%d %H:%M}"
        yield from filter(None, (started.model, started.sandbox))
        yield from (word for word, on in (("in place", started.in_place), ("dry run", started.dry_run)) if on)
        yield from (f"with {name}" for name in started.attachments)

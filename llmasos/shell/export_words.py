"""A session's story in the words of its exports."""

from __future__ import annotations

import json
from collections.abc import Iterator

from llmasos.events import ApprovalResolved, CallDecided, DiffOffered, FileChange, Notice, WorkspaceChanged
from llmasos.shell.words import count
from llmasos.story import Action, Turn

_LONG = 200  # characters


def outcome(action: Action) -> str:
    """Return how an action ended, in a few words."""
    if action.end is None:
        return "no end"
    took = f", {action.end.seconds:.1f} s" if action.end.seconds >= 0.05 else ""
    return f"{action.end.status}{took}"


def decisions(action: Action) -> Iterator[str]:
    """Give what was decided of an action, each decision in a line."""
    for decided in action.decisions:
        yield _decided(decided)


def _decided(decided: CallDecided | ApprovalResolved) -> str:
    if isinstance(decided, CallDecided):
        made = decided.decision
        return f"{made.verdict} by rule {made.rule}: {made.reason}"
    answer = "approved" if decided.approved else "refused"
    always = ", for this pattern from now on" if decided.always else ""
    why = f"; {decided.why}" if decided.why else ""
    return f"{answer} by {decided.by}{always}{why}"


def arguments(action: Action) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return an action's arguments, each with its name: those that fit on a line, and the others."""
    short: list[tuple[str, str]] = []
    long: list[tuple[str, str]] = []
    for name, value in action.arguments.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        (long if "\n" in text or len(text) > _LONG else short).append((name, text))
    return short, long


def result(action: Action) -> str:
    """Return what an action gave."""
    return action.end.result if action.end is not None else ""


def kept(action: Action) -> Iterator[str]:
    """Give the files that an action handed out, each in a line."""
    for file in action.artifacts:
        yield f"Kept {file.name}, {file.size:,} bytes: {file.path}"


def noticed(event: Notice | WorkspaceChanged) -> str:
    """Return what the person was told, or has decided, on one line."""
    if isinstance(event, Notice):
        return event.text
    return f"{event.what} {event.commit}".strip() + f": {', '.join(event.paths) or 'nothing'}"


def ending(turn: Turn) -> str:
    """Return how a turn ended and what it used."""
    ended = turn.end
    if ended is None:
        return "No end is stored."
    used = ended.usage
    tokens = f"{used.input_tokens:,} tokens read, {used.output_tokens:,} written"
    how = f"{ended.status}: {' '.join((ended.error, ended.hint)).strip()}" if ended.error else ended.status
    return f"{how} · {count(used.requests, 'request')} · {tokens} · {used.seconds:.1f} s"


def changed(change: FileChange) -> str:
    """Return what became of a path, on one line."""
    source = f"{change.source} → " if change.source else ""
    runs = f"runs by itself: {change.runs}" if change.runs else ""
    more = "; ".join(filter(None, (change.detail, runs)))
    return f"{change.kind} {source}{change.path}" + (f" ({more})" if more else "")


def omitted(offered: DiffOffered) -> Iterator[str]:
    """Give what is told of changes that a diff leaves out, as there are thousands."""
    if offered.omitted:
        yield f"… and {offered.omitted:,} more changes"
    yield from filter(None, offered.summary.split("\n"))


def facts(turn: Turn) -> Iterator[str]:
    """Give what is known of how a turn was run."""
    started = turn.start
    yield f"{started.at.astimezone():%Y-%m-%d %H:%M}"
    yield from filter(None, (started.model, started.sandbox))
    yield from (word for word, on in (("in place", started.in_place), ("dry run", started.dry_run)) if on)
    yield from (f"with {name}" for name in started.attachments)

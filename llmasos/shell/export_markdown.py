"""A session as Markdown, in which no text of others can end what it stands in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from llmasos.api import SessionInfo
from llmasos.display import display
from llmasos.events import DiffOffered, Notice, TurnSteered, WorkspaceChanged
from llmasos.shell.export_words import (
    arguments,
    changed,
    decisions,
    ending,
    facts,
    kept,
    noticed,
    omitted,
    outcome,
    result,
)
from llmasos.shell.prose import code, fenced, plain, quoted
from llmasos.story import Action, Entry, Said, Story, Told, Turn

_LONG = 40  # lines
_HEADING = 3


def markdown(info: SessionInfo, story: Story) -> str:
    """Return a session as Markdown, as forges show it."""
    begun = f"{info.created.astimezone():%Y-%m-%d %H:%M}"
    blocks = [
        f"# {plain(info.title or info.id)}",
        f"Session {code(info.id)} on {code(info.folder)}, begun {begun}.",
        *_entries(story.opening),
        *(block for turn in story.turns.values() for block in _turn(turn)),
    ]
    return "\n\n".join(blocks) + "\n"


def _turn(turn: Turn) -> Iterator[str]:
    yield f"## Turn {turn.number}"
    yield _aside(" · ".join(facts(turn)))
    if turn.command:
        yield "**You:**"
        yield "\n".join(f"> {line}" for line in fenced(turn.asked))
    else:
        yield from _said("You", turn.start.text)
    yield from _entries(turn.entries)
    yield _aside(ending(turn))
    yield from _entries(turn.later)


def _entries(entries: Iterable[Entry]) -> Iterator[str]:
    for entry in entries:
        match entry:
            case Action():
                yield from _action(entry)
            case Said():
                yield from _said("Model", entry.text)
            case Told(event=TurnSteered() as event):
                yield from _said("You", event.text)
            case Told(event=DiffOffered() as event):
                yield from _changes(event)
            case Told(event=Notice() | WorkspaceChanged() as event):
                yield _aside(noticed(event))


def _said(who: str, text: str) -> Iterator[str]:
    yield f"**{who}:**"
    yield "\n".join(quoted(text, _HEADING))


def _action(action: Action) -> Iterator[str]:
    yield f"**Action** {code(action.tool)}: {plain(outcome(action))}"
    short, long = arguments(action)
    lines = [f"- {code(name)}: {code(text)}" for name, text in short]
    lines += [f"- {plain(decision)}" for decision in decisions(action)]
    if lines:
        yield "\n".join(lines)
    for name, text in long:
        yield _folded(name, text)
    if text := result(action):
        yield _folded("result", text)
    yield from map(_aside, kept(action))


def _changes(offered: DiffOffered) -> Iterator[str]:
    for change in offered.changes:
        yield _folded(changed(change), change.diff, "diff")
    yield from map(_aside, omitted(offered))


def _aside(text: str) -> str:
    return f"*{plain(text)}*" if text.strip() else ""


def _folded(title: str, text: str, language: str = "") -> str:
    """Return a text as it is, folded when it is long."""
    if not text:
        return plain(title)
    block = "\n".join(fenced(text, language))
    if text.count("\n") < _LONG:
        return f"{plain(title)}:\n\n{block}"
    summary = escape(display(" ".join(title.split())), quote=False)
    return f"<details><summary>{summary}</summary>\n\n{block}\n\n</details>"

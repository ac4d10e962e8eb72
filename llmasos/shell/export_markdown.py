"""A session as Markdown, in which no text of others can end what it stands in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

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
from llmasos.story import Action, Entry, Said, Story, Told, Turn

_OPENS = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
_LANGUAGE = re.compile(r"[\w+#-]{1,20}")
_SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)")
_DEFINES = re.compile(r"^(\s*(?:[*+-]\s+|\d+[.)]\s+)*)\[(?=[^\]]*\]:)")
_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "`": "&#96;"})
_HARMLESS = " ,;./-()'?=%"
_LONG = 40  # lines


def markdown(info: SessionInfo, story: Story) -> str:
    """Return a session as Markdown, as GitHub shows it."""
    return "\n".join(_lines(info, story)) + "\n"


def _lines(info: SessionInfo, story: Story) -> Iterator[str]:
    yield f"# {_plain(info.title or info.id)}"
    yield ""
    begun = f"{info.created.astimezone():%Y-%m-%d %H:%M}"
    yield f"Session {_span(info.id)} on {_span(info.folder)}, begun {begun}."
    yield from _entries(story.opening)
    for turn in story.turns.values():
        yield from _turn(turn)


def _turn(turn: Turn) -> Iterator[str]:
    yield ""
    yield f"## Turn {turn.number}"
    yield ""
    yield f"*{_plain(' · '.join(facts(turn)))}*"
    yield ""
    yield from _said("You", turn.start.text)
    yield from _entries(turn.entries)
    yield ""
    yield f"*{_plain(ending(turn))}*"
    yield from _entries(turn.later)


def _entries(entries: Iterable[Entry]) -> Iterator[str]:
    for entry in entries:
        yield ""
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
                yield f"*{_plain(noticed(event))}*"


def _said(who: str, text: str) -> Iterator[str]:
    yield f"**{who}:**"
    yield ""
    yield from _quoted(text)


def _action(action: Action) -> Iterator[str]:
    yield f"**Action** {_span(action.tool)}: {_plain(outcome(action))}"
    for decision in decisions(action):
        yield ""
        yield f"- {_plain(decision)}"
    for title, text, language in (("arguments", arguments(action), "json"), ("result", result(action), "")):
        if text:
            yield ""
            yield from _folded(title, text, language)
    for file in kept(action):
        yield ""
        yield f"*{_plain(file)}*"


def _changes(offered: DiffOffered) -> Iterator[str]:
    for change in offered.changes:
        yield from _folded(changed(change), change.diff, "diff")
        yield ""
    for more in omitted(offered):
        yield f"*{_plain(more)}*"
        yield ""


def _folded(title: str, text: str, language: str) -> Iterator[str]:
    """Yield a text as it is, folded when it is long."""
    if not text:
        yield _span(title)
        return
    fold = text.count("\n") >= _LONG
    yield f"<details><summary>{_plain(title)}</summary>" if fold else f"{_plain(title)}:"
    yield ""
    yield from _fenced(text, language)
    if fold:
        yield ""
        yield "</details>"


def _fenced(text: str, language: str) -> Iterator[str]:
    shown = display(text, keep_newlines=True)
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", shown)), default=0))
    yield f"{fence}{language}"
    yield from shown.removesuffix("\n").split("\n")
    yield fence


def _quoted(text: str) -> Iterator[str]:
    """Yield Markdown of others as a quotation: its code in fences of ours, without HTML."""
    lines = display(text, keep_newlines=True).split("\n")
    at = 0
    while at < len(lines):
        opened = _OPENS.fullmatch(lines[at])
        if opened is None or ("`" in opened[1] and "`" in opened[2]):
            yield f"> {_prose(lines[at])}".rstrip()
            at += 1
            continue
        closes = re.compile(rf" {{0,3}}{opened[1][0]}{{{len(opened[1])},}}\s*")
        end = next((n for n in range(at + 1, len(lines)) if closes.fullmatch(lines[n])), len(lines))
        named = _LANGUAGE.match(opened[2].strip())
        code = "\n".join(lines[at + 1 : end])
        yield from (f"> {line}" for line in _fenced(code, named[0] if named else ""))
        at = end + 1


def _prose(line: str) -> str:
    """Return a line of Markdown with code as HTML of ours, and no other HTML, quotation or definition.

    Images are shown as they are written: they would be fetched from wherever they are by whoever only looks.
    """
    found, last = [], 0
    for match in _SPAN.finditer(line):
        found += [line[last : match.start()].translate(_HTML), _code(match[2].strip())]
        last = match.end()
    whole = "".join((*found, line[last:].translate(_HTML)))
    return _DEFINES.sub(r"\1\\[", whole.replace("![", "&#33;&#91;"))


def _span(text: str) -> str:
    return _code(display(" ".join(text.split())))


def _code(text: str) -> str:
    return f"<code>{''.join(_entity(char, _HARMLESS) for char in text)}</code>"


def _plain(text: str) -> str:
    """Return a text on one line, none of whose signs means anything to Markdown or HTML."""
    shown = display(" ".join(text.split()))
    # What begins a list or a heading does so at the beginning only.
    return "".join(_entity(char, "" if at == 0 else _HARMLESS) for at, char in enumerate(shown))


def _entity(char: str, harmless: str) -> str:
    kept = char.isalnum() or char in harmless or not char.isascii()
    return char if kept else f"&#{ord(char)};"

"""A session as one page that needs nothing else: no script, no other file, light and dark."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from llmasos.api import SessionInfo
from llmasos.display import display
from llmasos.events import DiffOffered, Notice, TurnSteered, WorkspaceChanged
from llmasos.markdown import html
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

_STYLE = """
:root { color-scheme: light dark; --line: light-dark(#d5d8dd, #3a3f47); --soft: light-dark(#f4f5f7, #1d2025);
  --dim: light-dark(#5c6570, #9aa4b0); --add: light-dark(#e6f6ea, #14301c);
  --del: light-dark(#fdebec, #3b1a1d); }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  background: light-dark(#fff, #121417); color: light-dark(#1c2126, #e4e8ec); }
section { border-top: 1px solid var(--line); margin-top: 1.5rem; padding-top: .5rem; }
.facts, .notice, .end { color: var(--dim); font-size: .9rem; }
.who { font-weight: 600; margin: 1rem 0 .2rem; }
pre, .you { white-space: pre-wrap; overflow-wrap: anywhere; margin: .2rem 0; }
pre { background: var(--soft); border: 1px solid var(--line); border-radius: .4rem; padding: .6rem;
  font: .85rem/1.45 ui-monospace, monospace; }
.you, .model, .model blockquote { border-left: 3px solid var(--line); padding-left: .8rem; }
.model { overflow-wrap: anywhere; } .model :is(h3, h4, h5, h6) { font-size: 1rem; }
.model :is(p, ul, ol, blockquote) { margin: .4rem 0; }
code { font: .85rem/1.45 ui-monospace, monospace; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; margin: .4rem 0; }
th, td { border: 1px solid var(--line); padding: .2rem .6rem; text-align: left; }
.center { text-align: center; } .right { text-align: right; }
hr { border: 0; border-top: 1px solid var(--line); } a { color: inherit; }
.act { margin: .8rem 0; } .act ul { margin: .2rem 0; color: var(--dim); font-size: .9rem; }
summary { cursor: pointer; color: var(--dim); }
.add { background: var(--add); } .del { background: var(--del); }
""".strip()
_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">"""
_SHORT = 12  # lines


def page(info: SessionInfo, story: Story) -> str:
    """Return a session as a page of HTML."""
    title = _text(info.title or info.id)
    begun = f"{info.created.astimezone():%Y-%m-%d %H:%M}"
    return "\n".join(
        (
            _HEAD,
            f"<title>{title}</title>",
            f"<style>\n{_STYLE}\n</style>",
            "</head>",
            "<body>",
            f"<h1>{title}</h1>",
            f'<p class="facts">Session {_text(info.id)} on {_text(info.folder)}, begun {begun}</p>',
            *_entries(story.opening),
            *(line for turn in story.turns.values() for line in _turn(turn)),
            "</body>",
            "</html>",
            "",
        )
    )


def _turn(turn: Turn) -> Iterator[str]:
    yield "<section>"
    yield f'<h2 id="turn-{turn.number}">Turn {turn.number}</h2>'
    yield f'<p class="facts">{_text(" · ".join(facts(turn)))}</p>'
    yield from _asked(turn.asked, "code" if turn.command else "")
    yield from _entries(turn.entries)
    yield f'<p class="end">{_text(ending(turn))}</p>'
    yield from _entries(turn.later)
    yield "</section>"


def _entries(entries: Iterable[Entry]) -> Iterator[str]:
    for entry in entries:
        match entry:
            case Action():
                yield from _action(entry)
            case Said():
                yield '<p class="who">Model</p>'
                yield f'<div class="model">{html(entry.text, 3)}</div>'
            case Told(event=TurnSteered() as event):
                yield from _asked(event.text)
            case Told(event=DiffOffered() as event):
                yield from _changes(event)
            case Told(event=Notice() | WorkspaceChanged() as event):
                yield f'<p class="notice">{_text(noticed(event))}</p>'


def _asked(text: str, tag: str = "") -> Iterator[str]:
    yield '<p class="who">You</p>'
    shown = f"<{tag}>{_text(text)}</{tag}>" if tag else _text(text)
    yield f'<div class="you">{shown}</div>'


def _action(action: Action) -> Iterator[str]:
    yield f'<div class="act"><strong>{_text(action.tool)}</strong>: {_text(outcome(action))}'
    short, long = arguments(action)
    lines = [f"<li><code>{_text(name)}</code>: <code>{_text(text)}</code></li>" for name, text in short]
    lines += [f"<li>{_text(one)}</li>" for one in decisions(action)]
    if lines:
        yield f"<ul>{''.join(lines)}</ul>"
    for name, text in (*long, ("result", result(action))):
        if text:
            yield from _folded(name, _text(text), text.count("\n"))
    yield from (f'<p class="notice">{_text(one)}</p>' for one in kept(action))
    yield "</div>"


def _changes(offered: DiffOffered) -> Iterator[str]:
    for change in offered.changes:
        yield from _folded(changed(change), _diff(change.diff), change.diff.count("\n"))
    yield from (f'<p class="notice">{_text(one)}</p>' for one in omitted(offered))


def _folded(title: str, inner: str, lines: int) -> Iterator[str]:
    if not inner:
        yield f'<p class="facts">{_text(title)}</p>'
        return
    shown = " open" if lines < _SHORT else ""
    yield f"<details{shown}><summary>{_text(title)}</summary><pre>{inner}</pre></details>"


def _diff(diff: str) -> str:
    marks = {"+": "add", "-": "del"}
    found = []
    for line in diff.splitlines():
        kind = marks.get(line[:1], "")
        found.append(f'<span class="{kind}">{_text(line)}</span>' if kind else _text(line))
    return "\n".join(found)


def _text(text: str) -> str:
    return escape(display(text, keep_newlines=True))

"""What the readers of a session's page are told of what comes."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from starlette.requests import Request

from llmasos.api import Diff
from llmasos.events import (
    ActionFinished,
    ActionOutput,
    ActionStarted,
    AssistantText,
    Event,
    Notice,
    Progress,
    TextDelta,
    TurnFinished,
    TurnStarted,
    TurnSteered,
    WorkspaceChanged,
)
from llmasos.service.console.diffs import diff_lines
from llmasos.service.console.rendering import Renderer
from llmasos.service.console.telling import Telling
from llmasos.story import Story

pytestmark = pytest.mark.anyio
ASKED = Request({"type": "http", "method": "GET", "path": "/console/x", "headers": [], "query_string": b""})
STARTED = TurnStarted(session="s-1", turn="t-1", seq=1, text="go")


async def told(*events: Event, after: int = 0) -> list[tuple[int, list[dict[str, Any]]]]:
    """Return the messages of events, with the number that a reader goes on from."""

    async def changes(story: Story) -> dict[str, Any]:
        return {
            **{"session": "s-1", "running": story.running, "waiting": story.waiting},
            **{"diff": Diff(), "files": [], "seen": "", "gone": None, "model": "m", "models_here": ["m"]},
        }

    async def stream() -> AsyncIterator[Event]:
        for event in events:
            yield event

    found = []
    async for text in Telling(Renderer(), ASKED, after, 0, changes).messages(stream()):
        number = re.search(r"^id: (\d+)$", text, re.MULTILINE)
        data = re.search(r"^data: (.*)$", text, re.MULTILINE)
        assert data is not None and text.endswith("\n\n")
        found.append((int(number[1]) if number else 0, json.loads(data[1])))
    return found


def ids(parts: Sequence[dict[str, Any]]) -> list[str]:
    return [str(part.get("id") or part.get("set") or part.get("append")) for part in parts]


async def test_each_event_changes_its_part_of_the_page() -> None:
    found = await told(
        STARTED,
        ActionStarted(turn="t-1", seq=2, action="a-1", tool="run_python", arguments={"code": "1"}),
        ActionFinished(turn="t-1", seq=3, action="a-1", tool="run_python", status="ok", result="one"),
        AssistantText(turn="t-1", seq=4, text="Done."),
        TurnFinished(turn="t-1", seq=5, status="done"),
        WorkspaceChanged(seq=6, what="discard", paths=("a",)),
    )
    assert [number for number, _ in found] == [1, 2, 3, 4, 5, 6]
    turn, started, finished, said, ended, dropped = (parts for _, parts in found)
    assert ids(turn) == ["t-1", "state", "changes", "status", "progress"]
    assert turn[0]["into"] == "turns" and turn[0]["first"]
    assert ids(started) == ["a-1", "status", "progress"] and started[0]["into"] == "t-1-entries"
    assert 'id="a-1-output"' in started[0]["html"] and started[1]["text"] == "run_python runs."
    assert (
        ids(finished) == ["a-1"] and "one" in finished[0]["html"] and "a-1-output" not in finished[0]["html"]
    )
    assert ids(said) == ["e-4", "t-1-text"] and said[1] == {"set": "t-1-text", "text": ""}
    assert "Cancel the turn" in turn[1]["html"] and "Cancel the turn" not in ended[1]["html"]
    assert ended[3]["text"] == "The turn has ended: done." and "t-1-text" not in ended[0]["html"]
    # What was done between turns stands in the last one.
    assert ids(dropped) == ["e-6", "state", "changes"] and dropped[0]["into"] == "t-1-entries"


async def test_what_a_person_says_meanwhile_is_seen() -> None:
    _, (_, (part,)) = await told(STARTED, TurnSteered(turn="t-1", seq=2, text="rather <b>so</b>"))
    assert part["into"] == "t-1-entries" and "You said:</strong> rather &lt;b&gt;so" in part["html"]


async def test_a_command_is_shown_as_it_was_typed() -> None:
    typed = TurnStarted(session="s-1", turn="t-1", seq=1, text="Run the command: ls <b>", call="run_shell")
    [(_, [turn, *_])] = await told(typed)
    assert "<code>! ls &lt;b&gt;</code></h3>" in turn["html"]


async def test_text_is_plain_while_it_is_written_and_markdown_once_it_is_whole() -> None:
    whole = "**Done**, see <b>[it](https://e.example)</b>:\n\n# Files\n\n- a\n"
    found = await told(
        STARTED, TextDelta(turn="t-1", text=whole), AssistantText(turn="t-1", seq=2, text=whole)
    )
    _, (_, [piece]), (number, [said, emptied]) = found
    assert piece == {"append": "t-1-text", "text": whole} and number == 2
    assert emptied == {"set": "t-1-text", "text": ""}
    assert "<strong>Done</strong>, see &lt;b&gt;<a href=" in said["html"] and "<h4>Files</h4>" in said["html"]
    assert said["html"].startswith('<div id="e-2" class="written"><p>') and "<li>a</li>" in said["html"]


async def test_what_is_on_the_page_is_not_told_again() -> None:
    notice = Notice(turn="t-1", seq=2, text="more")
    assert [number for number, _ in await told(STARTED, notice, after=1)] == [2]
    assert await told(STARTED, notice, after=2) == []


async def test_streamed_text_comes_in_pieces_that_cannot_act() -> None:
    found = await told(
        STARTED,
        TextDelta(turn="t-1", text="a\x1b[2J"),
        TextDelta(turn="t-1", text="<b>\u202e"),
        # A joiner waits for what it joins.
        TextDelta(turn="t-1", text="\u200d"),
        ActionOutput(turn="t-1", action="a-1", text="out\n"),
        Progress(turn="t-1", what="loading", done=1, total=4),
    )
    pieces = [part for number, parts in found[1:] for part in parts if number == 0]
    assert pieces == [
        {"append": "t-1-text", "text": r"a\x1b[2J"},
        {"append": "t-1-text", "text": r"<b>\u202e"},
        {"append": "a-1-output", "text": "out\n"},
        {"set": "progress", "text": "loading 25 %"},
    ]


def test_lines_of_a_diff_are_told_apart() -> None:
    diff = "--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n same\n--- gone\n+++ new\n"
    assert [line.part for line in diff_lines(diff)] == ["file", "file", "hunk", "same", "removed", "added"]
    assert diff_lines("") == []
    long = diff_lines("@@ -0,0 +1,6000 @@\n" + "+x\n" * 6000)
    assert len(long) == 5001 and long[-1] == ("more", "1,001")

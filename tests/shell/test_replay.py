"""Stored sessions shown again: with their pauses, and turn by turn."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from llmasos.errors import LLMasOSError
from llmasos.events import (
    ActionFinished,
    ActionStarted,
    ApprovalRequested,
    ApprovalResolved,
    AssistantText,
    DiffOffered,
    Event,
    FileChange,
    TurnFinished,
    TurnStarted,
    TurnSteered,
    WorkspaceChanged,
)
from llmasos.shell.replay import Screen, chosen, paced

AT = datetime(2026, 11, 24, tzinfo=UTC)


def story() -> list[Event]:
    return [
        TurnStarted(turn="t-1", text="make it\nplease"),
        TurnFinished(turn="t-1", status="done", answer="ok"),
        WorkspaceChanged(what="commit", commit="c-1", paths=("a",)),
        TurnStarted(turn="t-2", text="again"),
        ApprovalRequested(
            turn="t-2", action="a", tool="launch", arguments={}, reason="It reaches.", digest="0"
        ),
        ApprovalResolved(turn="t-2", action="a", approved=False, by="me", why="not now"),
        TurnSteered(turn="t-2", text="and quickly"),
        ActionStarted(turn="t-2", action="b", tool="read_file", arguments={"path": "notes.txt"}),
        ActionFinished(turn="t-2", action="b", tool="read_file", status="ok", result="the line"),
        AssistantText(turn="t-2", text="Here it is."),
        DiffOffered(turn="t-2", changes=(FileChange(path="a.txt", kind="added", diff="+new"),)),
        TurnFinished(turn="t-2", status="done", answer="Here it is."),
    ]


def test_a_turn_is_chosen_by_its_number_or_id_with_what_followed() -> None:
    events = story()
    assert chosen(events, "") == events
    assert chosen(events, "1") == chosen(events, "t-1") == events[:3]
    assert chosen(events, "2") == events[3:]
    for wrong in ("3", "0", "t-9"):
        with pytest.raises(LLMasOSError, match="has no turn") as caught:
            chosen(events, wrong)
        assert "It has 2" in caught.value.hint


def test_pauses_are_those_of_then_scaled_and_never_long() -> None:
    times = (0.0, 1.0, 1.5, 600.0, 599.0)
    events = [TurnStarted(text="x", at=AT + timedelta(seconds=seconds)) for seconds in times]
    assert [pause for pause, _ in paced(events, 1.0)] == [0.0, 1.0, 0.5, 3.0, 0.0]
    assert [pause for pause, _ in paced(events, 2.0)] == [0.0, 0.5, 0.25, 3.0, 0.0]
    assert [pause for pause, _ in paced(events, 0)] == [0.0] * 5


def test_a_command_is_shown_as_it_was_typed(capsys: pytest.CaptureFixture[str]) -> None:
    Screen("llmasos diff s-1").show(
        TurnStarted(turn="t", text="Run the command: pytest -q", call="run_shell")
    )
    assert capsys.readouterr().out == "> ! pytest -q\n"


def test_of_a_command_nothing_is_shown_that_nobody_typed(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = {"command": "pytest -q", "timeout": 600.0}
    typed = TurnStarted(turn="t", text="Run the command: pytest -q", call="run_shell")
    for start, shown in (
        (typed, '(command="pytest -q")'),
        (TurnStarted(turn="t", text="test"), "timeout=600.0)"),
    ):
        screen = Screen("llmasos diff s-1")
        screen.show(start)
        screen.show(ActionStarted(turn="t", action="a", tool="run_shell", arguments=arguments))
        assert capsys.readouterr().out.rstrip().endswith(shown)


def test_what_people_said_and_decided_is_shown_in_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen("llmasos export s-1", results=True)
    for event in story():
        screen.show(event)
    screen.end()
    shown = capsys.readouterr().out
    parts = (
        *("> make it", "> please", "· commit c-1", "> again", "? launch: It reaches."),
        *(
            "? refused by me: not now",
            "> and quickly",
            "read_file",
            "the line",
            "Here it is.",
            "a.txt",
            "+new",
        ),
    )
    places = [shown.index(part) for part in parts]
    assert places == sorted(places)


def test_a_diff_that_is_cut_names_what_shows_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    long = FileChange(path="a.txt", kind="added", diff="".join(f"+{number}\n" for number in range(300)))
    Screen("llmasos export s-1").show(DiffOffered(turn="t", changes=(long,)))
    assert "… 100 more lines; llmasos export s-1 shows them all" in capsys.readouterr().out

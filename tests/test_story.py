"""A session's events put together to turns and actions."""

from __future__ import annotations

from llmasos.decisions import Decision
from llmasos.events import (
    ActionFinished,
    ActionStarted,
    ApprovalRequested,
    ApprovalResolved,
    ArtifactKept,
    AssistantText,
    CallDecided,
    DiffOffered,
    TurnFinished,
    TurnStarted,
    WorkspaceChanged,
)
from llmasos.story import Action, Said, Story, Told, asked, command_request

ASKS = Decision(verdict="ask", rules=("asks",), reason="It reaches.", policy="p")
ALLOWS = Decision(verdict="allow", rules=("reads",), reason="It reads.", policy="p")
STARTED = TurnStarted(turn="t-1", seq=1, text="go")
ENDED = TurnFinished(turn="t-1", seq=9, status="done")


def decided(decision: Decision, path: str) -> CallDecided:
    return CallDecided(turn="t-1", action="a", tool="read", arguments={"path": path}, decision=decision)


def asks(path: str) -> ApprovalRequested:
    return ApprovalRequested(
        turn="t-1", action="a", tool="read", arguments={"path": path}, reason="r", digest="d"
    )


def test_a_call_is_one_entry_from_its_decision_to_its_end() -> None:
    story = Story([STARTED])
    first = decided(ASKS, "one")
    turn, call = story.add(first)
    assert isinstance(call, Action) and turn is story.turns["t-1"] and call.status == "running"
    assert story.add(asks("one")) == (turn, call)
    assert call.waits and story.waiting == [call] and call.status == "waiting"
    resolved = ApprovalResolved(turn="t-1", action="a", approved=True, by="me", arguments={"path": "two"})
    story.add(resolved)
    assert not call.waits and story.waiting == []
    again = decided(ALLOWS, "two")
    story.add(again)
    story.add(ActionStarted(turn="t-1", action="a", tool="read", arguments={"path": "two"}))
    kept = ArtifactKept(turn="t-1", action="a", name="x.png", media_type="image/png", size=3, path="/x.png")
    story.add(kept)
    story.add(ActionFinished(turn="t-1", action="a", tool="read", status="ok", result="text"))
    assert turn is not None and turn.entries == [call] and story.action("a") is call
    assert call.status == "ok" and call.arguments == {"path": "two"} and call.artifacts == [kept]
    assert call.decisions == [
        decided(ASKS, "one").model_copy(update={"at": call.decisions[0].at}),
        resolved,
        again,
    ]
    assert call.decision == ALLOWS


def test_a_call_that_is_asked_for_once_more_waits_again() -> None:
    denied = ApprovalResolved(turn="t-1", action="a", approved=False, by="me")
    story = Story([STARTED, decided(ASKS, "one"), asks("one"), denied, asks("two")])
    [call] = story.waiting
    assert call.answer is None and call.arguments == {"path": "two"}


def test_a_call_that_was_never_let_through_has_the_arguments_of_its_end() -> None:
    ended = ActionFinished(turn="t-1", action="a", tool="read", status="invalid", arguments={"pth": "x"})
    story = Story([STARTED, ended])
    call = story.action("a")
    assert call is not None and call.tool == "read" and call.arguments == {"pth": "x"} and not call.decisions


def test_a_command_is_told_as_it_was_typed() -> None:
    text = command_request("pytest -q\nls")
    typed = TurnStarted(turn="t", text=text, call="run_shell")
    said = TurnStarted(turn="t", text=text)
    program = TurnStarted(turn="t", text="A program calls run_shell over MCP.", call="run_shell")
    assert (asked(typed), asked(said), asked(program)) == ("! pytest -q\nls", text, program.text)
    [turn] = Story([typed]).turns.values()
    assert (turn.command, turn.asked) == ("pytest -q\nls", "! pytest -q\nls")
    [turn] = Story([said]).turns.values()
    assert (turn.command, turn.asked) == ("", text)


def test_what_is_done_between_turns_belongs_to_the_one_before() -> None:
    undone, wrote = WorkspaceChanged(seq=1, what="undo"), WorkspaceChanged(seq=10, what="commit")
    offered = DiffOffered(turn="t-1", seq=8, changes=())
    second = TurnStarted(turn="t-2", seq=11, text="more")
    said = AssistantText(turn="t-1", seq=7, text="Done.")
    story = Story([undone, STARTED, said, offered, ENDED, wrote, second], before=4)
    first, last = story.turns.values()
    assert story.opening == [Told("e-1", undone)]
    assert first.entries == [Said("e-7", "Done."), Told("e-8", offered)] and first.end is ENDED
    assert first.later == [Told("e-10", wrote)]
    assert (first.number, last.number, story.last, story.running) == (5, 6, 11, True)

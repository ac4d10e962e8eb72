"""What authors test with works, and fails where it should."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llmasos.testing import FakeContext, ScriptedModel, assert_decision, play, run_tool
from llmasos.tools import ToolContext, ToolError, tool


@tool(reads=["path"], writes=["save_as"], models=True, secrets=["KEY"])
def summarise(ctx: ToolContext, path: str, save_as: str | None = None) -> dict[str, str]:
    """Summarises a file."""
    ctx.progress(0, 1, "reading")
    said = ctx.models.ask(ctx.workspace.read_text(path), "Be brief.")
    ctx.keep("summary.txt", said)
    ctx.log("done")
    if save_as:
        ctx.workspace.write_text(save_as, said)
    return {"said": said, "key": ctx.secret("KEY")}


@tool
def sneaky(ctx: ToolContext) -> str:
    """Reads what it has not declared."""
    return ctx.workspace.read_text("a.txt")


@tool(network=["example.org"])
def fetch(city: str) -> str:
    """Fetches the weather."""
    return city


def context(**options: Any) -> FakeContext:
    return FakeContext(
        {"a.txt": "long", "b/c.bin": b"\0"}, answers=["short"], secrets={"KEY": "k"}, **options
    )


def test_a_function_is_called_with_a_context() -> None:
    it = context()
    assert summarise(it, "a.txt", save_as="out/s.txt") == {"said": "short", "key": "k"}
    assert it.file("out/s.txt") == b"short" and it.files() == ["a.txt", "b/c.bin", "out/s.txt"]
    assert it.asked == ["long"] and it.steps == [("reading", 0.0, 1.0, "")]
    assert it.kept == {"summary-1.txt": b"short"} and it.shown == ["done\n"]
    with pytest.raises(ToolError, match="no answer for the model any more"):
        summarise(it, "a.txt")


def test_a_tool_is_run_as_it_will_be() -> None:
    assert run_tool(summarise, context(), path="a.txt") == {"said": "short", "key": "k"}
    with pytest.raises(ToolError, match="'path' is a required property"):
        run_tool(summarise, context())
    with pytest.raises(ToolError, match="has not declared that it reads files"):
        run_tool(sneaky, context())
    assert sneaky(context()) == "long", "a direct call is not looked at so closely"


@pytest.mark.anyio
async def test_both_work_inside_an_event_loop() -> None:
    assert run_tool(summarise, context(), path="a.txt")["said"] == "short"
    assert summarise(context(), "a.txt")["said"] == "short"


def test_decisions_are_those_of_the_built_in_rules() -> None:
    decision = assert_decision(summarise, "allow", path="a.txt")
    assert decision.rule == "read"
    assert_decision(summarise, "ask", path="a.txt", save_as="s.txt")
    assert_decision(summarise, "deny", path="../a.txt", rule="outside")
    assert_decision(fetch, "ask", city="Rome", read=["the weather in Rome is secret"])
    assert_decision(fetch, "allow", city="Rome", said="how is the weather in Rome?")
    with pytest.raises(AssertionError, match="summarise would get deny, by outside, not allow"):
        assert_decision(summarise, "allow", path="/etc/passwd")
    with pytest.raises(AssertionError, match="would get allow, by read, not allow by view"):
        assert_decision(summarise, "allow", path="a.txt", rule="view")


def test_a_turn_is_played(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("long")

    @tool(reads=["path"], writes=["save_as"])
    def shorten(ctx: ToolContext, path: str, save_as: str) -> str:
        """Shortens a file."""
        ctx.workspace.write_text(save_as, ctx.workspace.read_text(path)[:2])
        return "Shortened."

    model = ScriptedModel('shorten(path="a.txt", save_as="s.txt")', "It is shorter now.")
    result = play(tmp_path, "shorten a.txt into s.txt", model, [shorten])
    assert result.status == "done" and result.answer == "It is shorter now."
    assert "+lo" in result.diff and not (tmp_path / "s.txt").exists()
    assert "shorten a.txt into s.txt" in model.prompts[0] and "Shortened." in model.prompts[1]


def test_what_a_person_must_approve_is_denied_or_approved(tmp_path: Path) -> None:
    @tool(writes=["path"])
    def touch(ctx: ToolContext, path: str) -> str:
        """Makes a file."""
        ctx.workspace.write_text(path, "x")
        return "Made."

    script = ('touch(path="x.txt")', "Tried.")
    refused = play(tmp_path, "what do you think?", ScriptedModel(*script), [touch])
    assert refused.status == "approval_needed" and not refused.diff
    allowed = play(tmp_path, "what do you think?", ScriptedModel(*script), [touch], approve=True)
    assert allowed.status == "done" and "x.txt" in allowed.diff

"""A call that a person makes in place of a model: it passes the gate as any other does."""

from typing import Any

import pytest

from llmasos.api import ToolCall
from llmasos.events import ActionFinished, ActionStarted, ApprovalRequested, TurnStarted
from llmasos.story import command_request
from tests.agent.conftest import MakeStage
from tests.agent.test_turn import launch

pytestmark = pytest.mark.anyio


def call(tool: str, **arguments: Any) -> ToolCall:
    return ToolCall(tool=tool, arguments=arguments)


async def test_a_call_is_recorded_and_answered_without_a_model(stage: MakeStage) -> None:
    async with stage() as it:
        made = call("read_file", path="notes.txt")
        end = await it.turn(await it.session(), "read notes.txt", call=made)
        assert end.status == "done" and "今天天气很好" in end.answer
        assert [entry.kind for entry in it.ledger.entries] == ["session", "intent", "outcome"]
        assert [event.tool for event in it.of(ActionStarted)] == ["read_file"]
        assert it.engine.requests == []


async def test_a_command_names_its_session_as_it_was_typed(stage: MakeStage) -> None:
    async with stage() as it:
        session = await it.session()
        made = call("run_shell", command="cat notes.txt")
        await it.turn(session, command_request("cat notes.txt"), call=made)
        [started] = it.of(TurnStarted)
        assert (started.call, started.text) == ("run_shell", "Run the command: cat notes.txt")
        assert (await session.info()).title == "! cat notes.txt"


async def test_a_call_that_the_policy_asks_about_waits_for_approval(stage: MakeStage) -> None:
    async with stage(tools=(launch,)) as it:
        end = await it.turn(await it.session(), "go", call=call("launch", what="rocket"))
        assert end.status == "approval_needed"
        assert [event.tool for event in it.of(ApprovalRequested)] == ["launch"]
        assert not it.of(ActionStarted)


async def test_a_tool_that_there_is_not_ends_the_turn(stage: MakeStage) -> None:
    async with stage() as it:
        end = await it.turn(await it.session(), "fly", call=call("fly"))
        assert end.status == "failed" and "fly" in end.error
        end = await it.turn(await it.session(), "read", call=call("read_file", to="x"))
        assert end.status == "failed" and "read_file takes" in end.hint
        assert not it.of(ActionStarted)


async def test_a_tool_may_ask_the_model_and_each_reply_is_recorded(stage: MakeStage) -> None:
    async with stage("GOOD", "BAD") as it:
        made = call("ask_files", instruction="Say the mood.", items=["nice", "awful"], jobs=1, save_as="")
        end = await it.turn(await it.session(), "Say the mood. nice awful", call=made)
        assert end.status == "done", end
        [finished] = it.of(ActionFinished)
        assert finished.result.startswith("2 of 2 items done, 0 failed.")
        kinds = [entry.kind for entry in it.ledger.entries]
        assert sorted(kinds) == ["intent", "model", "model", "outcome", "session"]

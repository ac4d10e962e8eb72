"""Turns on fakes: what the model does, what is recorded, and how a turn ends."""

import anyio
import pytest

from llmasos.agent import Approval, _records
from llmasos.errors import ConfigError, LedgerError, RunningTurnError, SessionError
from llmasos.events import ActionFinished, ActionStarted, ApprovalRequested, TextDelta, TurnFinished
from llmasos.models import FakeEngine
from llmasos.sandbox import Workspace
from llmasos.tools import Capabilities, KernelContext, kernel_tool
from tests.agent.conftest import MakeStage

pytestmark = pytest.mark.anyio
YES = Approval(approved=True, by="me")


@kernel_tool(capabilities=Capabilities())
async def launch(ctx: KernelContext, what: str) -> str:
    """Launch something, without saying what it needs."""
    return f"launched {what}"


@kernel_tool(capabilities=Capabilities(network=("example.org",)))
async def fetch(ctx: KernelContext, url: str) -> str:
    """Fetch a page."""
    raise AssertionError("the network is closed")


@kernel_tool(capabilities=Capabilities(reads=True))
async def hang(ctx: KernelContext) -> str:
    """Wait for ever."""
    await anyio.sleep_forever()
    return ""


@kernel_tool(capabilities=Capabilities(reads=True))
async def crash(ctx: KernelContext) -> str:
    """Raise something unexpected."""
    raise ZeroDivisionError("by design")


async def test_an_action_is_recorded_before_and_after(stage: MakeStage) -> None:
    async with stage('read_file(path="notes.txt")', "Answer: 天气很好。") as it:
        session = await it.session()
        end = await it.turn(session, "notes.txt 写了什么？")
        assert (end.status, end.answer) == ("done", "天气很好。")
        assert [entry.kind for entry in it.ledger.entries] == [
            "session",
            "model",
            "intent",
            "outcome",
            "model",
        ]
        finished = it.of(ActionFinished)[0]
        assert finished.status == "ok" and "今天天气很好" in finished.result and finished.backend == "fake"
        assert "".join(event.text for event in it.of(TextDelta)) == "天气很好。"


async def test_what_a_tool_asks_of_the_model_is_counted(stage: MakeStage) -> None:
    replies = (
        'translate(target_language="English", path="notes.txt")',
        "The weather is fine.",
        "Answer: done",
    )
    async with stage(*replies) as it:
        session = await it.session()
        end = await it.turn(session, "translate notes.txt")
        assert it.of(ActionFinished)[0].result == "The weather is fine.\n"
        assert end.usage.requests == 3 == len(it.engine.requests)
        assert end.usage.output_tokens == sum(map(len, replies))


async def test_the_next_turn_knows_the_last(stage: MakeStage) -> None:
    async with stage("Answer: four", "Answer: five") as it:
        session = await it.session()
        await it.turn(session, "two and two?")
        await it.turn(session, "and one?")
        said = [turn.content for turn in it.engine.requests[1].turns]
        assert any("two and two?" in text for text in said) and any("four" in text for text in said)


async def test_nothing_runs_when_the_intent_cannot_be_recorded(stage: MakeStage) -> None:
    async with stage('write_file(path="x.txt")\n```\nhello\n```', "Answer: done") as it:
        session = await it.session()
        it.ledger.refuse = LedgerError("The disk is full.", hint="Free space.")
        end = await it.turn(session, "write x.txt")
        assert end.status == "failed" and "disk is full" in end.error and end.hint == "Free space."
        assert not (it.folder / "x.txt").exists()


async def test_the_model_is_told_of_invalid_arguments_twice_at_most(stage: MakeStage) -> None:
    call = 'read_file(path="notes.txt", limit={n})'
    async with stage(*(call.format(n=-n) for n in range(1, 5))) as it:
        session = await it.session()
        end = await it.turn(session, "read it")
        assert end.status == "failed" and "limit" in end.error and "two corrections" in end.error
        assert len(it.engine.requests) == 3
        assert [event.status for event in it.of(ActionFinished)] == ["invalid"] * 3
        kinds = [entry.kind for entry in it.ledger.entries]
        assert kinds == ["session", *["model", "outcome"] * 3]


async def test_the_same_call_three_times_ends_the_turn(stage: MakeStage) -> None:
    async with stage(*['list_files(pattern="*.py")'] * 5) as it:
        session = await it.session()
        end = await it.turn(session, "list them")
        assert end.status == "limit" and "list_files 3 times in a row" in end.error
        assert len(it.of(ActionStarted)) == 2


async def test_steps_are_limited(stage: MakeStage) -> None:
    replies = [f'read_file(path="notes.txt", offset={n})' for n in range(10)]
    async with stage(*replies) as it:
        session = await it.session()
        end = await it.turn(session, "read on", max_steps=3)
        assert end.status == "limit" and "--max-steps" in end.hint
        assert len(it.engine.requests) == 3


async def test_time_is_limited(stage: MakeStage) -> None:
    async with stage("hang()", tools=(hang,)) as it:
        session = await it.session()
        end = await it.turn(session, "hang", timeout=1)
        assert end.status == "limit" and "1 s" in end.error
        assert it.of(ActionFinished)[0].status == "cancelled"


async def test_a_tool_that_raises_is_an_outcome(stage: MakeStage) -> None:
    async with stage("crash()", "Answer: it failed", tools=(crash,)) as it:
        session = await it.session()
        end = await it.turn(session, "crash")
        assert end.status == "done"
        assert "ZeroDivisionError: by design" in it.of(ActionFinished)[0].result


async def test_cancelling_is_recorded(stage: MakeStage) -> None:
    async with stage("hang()", "Answer: again", tools=(hang,)) as it:
        session = await it.session()
        async with anyio.create_task_group() as tasks:

            async def run() -> None:
                end = await it.turn(session, "hang")
                assert end.status == "cancelled"

            tasks.start_soon(run)
            async with session.stream.follow() as events:
                async for event in events:
                    if isinstance(event, ActionStarted):
                        break
            await session.cancel()
        assert it.ledger.entries[-1].kind == "cancel"
        assert (await it.turn(session, "again")).answer == "again"


async def test_what_is_undeclared_asks_and_nobody_means_no(stage: MakeStage) -> None:
    async with stage('launch(what="it")', "Answer: not launched", tools=(launch,)) as it:
        session = await it.session()
        end = await it.turn(session, "launch it", approve="deny")
        assert end.status == "approval_needed" and "--yes" in end.hint
        assert it.of(ActionFinished)[0].status == "denied"
        recorded = [entry for entry in it.ledger.entries if entry.kind == "approval"]
        assert recorded[0].body["approved"] is False


async def test_an_approval_is_asked_and_bound_to_its_call(stage: MakeStage) -> None:
    async with stage('launch(what="it")', "Answer: launched", tools=(launch,)) as it:
        session = await it.session()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: it.turn(session, "launch it", approve="ask"))
            async with session.stream.follow() as events:
                async for event in events:
                    if isinstance(event, ApprovalRequested):
                        with pytest.raises(SessionError, match="another call"):
                            session.approvals.answer(event.action, "0" * 64, YES)
                        session.approvals.answer(event.action, event.digest, YES)
                        with pytest.raises(SessionError, match="No approval is waiting"):
                            session.approvals.answer(event.action, event.digest, YES)
                    if isinstance(event, TurnFinished):
                        break
        assert it.of(ActionFinished)[0].result == "launched it"


async def test_the_network_is_denied(stage: MakeStage) -> None:
    async with stage('fetch(url="http://example.org")', "Answer: no network", tools=(fetch,)) as it:
        session = await it.session()
        end = await it.turn(session, "fetch it", approve="all")
        assert end.status == "done"
        assert "has not been opened" in it.of(ActionFinished)[0].result


async def test_tools_called_from_python_pass_the_gate(stage: MakeStage) -> None:
    code = 'run_python\n```python\ntext = read_file("notes.txt")\nprint(len(text))\n```'
    async with stage(code, "Answer: eight") as it:
        session = await it.session()
        assert (await it.turn(session, "how long is notes.txt?")).status == "done"
        outer, inner = it.of(ActionStarted)
        assert (outer.tool, inner.tool, inner.parent) == ("run_python", "read_file", outer.action)
        kinds = [entry.kind for entry in it.ledger.entries]
        assert kinds == ["session", "model", "intent", "intent", "outcome", "outcome", "model"]


@pytest.mark.parametrize("reply", ["", "no such call at all(", 'read_file(path="notes'])
async def test_nonsense_ends_with_a_clear_message(stage: MakeStage, reply: str) -> None:
    async with stage(*[reply] * 6) as it:
        end = await it.turn(await it.session(), "read notes.txt")
        assert end.status == "failed" and end.error and end.hint and "Traceback" not in end.error


async def test_a_stream_without_an_end_is_a_failure(stage: MakeStage) -> None:
    async with stage(engine=FakeEngine(["Answer: half of"] * 6, finish_reason=None)) as it:
        end = await it.turn(await it.session(), "say it")
        assert end.status == "failed" and end.hint


async def test_one_turn_at_a_time(stage: MakeStage) -> None:
    async with stage("hang()", tools=(hang,)) as it:
        session = await it.session()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(it.turn, session, "hang")
            async with session.stream.follow() as events:
                async for event in events:
                    if isinstance(event, ActionStarted):
                        break
            with pytest.raises(RunningTurnError, match="A turn is running") as refused:
                await it.turn(session, "more")
            assert refused.value.code == "running" and "cancel it" in refused.value.hint
            with pytest.raises(SessionError, match="while a turn runs"):
                await session.workbench.commit()
            await session.cancel()


async def test_an_unexpected_error_ends_its_turn_and_nothing_else(
    stage: MakeStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_: Workspace) -> str:
        raise OSError(5, "Input/output error")

    async with stage("Answer: fine") as it:
        session = await it.session()
        with monkeypatch.context() as patch:
            patch.setattr(Workspace, "names", broken)
            end = await it.turn(session, "hello")
            assert end.status == "failed" and "Input/output error" in end.error and end.hint
        assert (await it.turn(session, "hello")).answer == "fine"


async def test_those_who_wait_are_told_when_the_end_cannot_be_stored(
    stage: MakeStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object) -> None:
        raise ConfigError("The database is full.", hint="Free space.")

    async with stage("Answer: fine", "Answer: again") as it:
        session = await it.session()
        with monkeypatch.context() as patch:
            patch.setattr(_records, "finish_turn", full)
            end = await it.turn(session, "hello")
            assert (end.status, end.error, end.seq) == ("failed", "The database is full.", 0)
        assert (await it.turn(session, "hello")).answer == "again"


async def test_an_empty_request_is_refused(stage: MakeStage) -> None:
    async with stage() as it:
        with pytest.raises(SessionError, match="empty"):
            await it.turn(await it.session(), "  ")


async def test_what_was_written_counts_though_it_was_no_use(stage: MakeStage) -> None:
    async with stage('run_shell(command="ls', 'run_shell(command="ls', 'run_shell(command="ls') as it:
        end = await it.turn(await it.session(), "list the files")
        assert end.status == "failed" and "no usable reply" in end.error
        assert end.usage.output_tokens > 0

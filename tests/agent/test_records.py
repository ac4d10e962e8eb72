"""What is recorded of a turn, and that nothing of it is plain text."""

import json
from dataclasses import replace

import pytest
from pydantic_ai.messages import ModelMessagesTypeAdapter

from llmasos.agent import _records, asked_through, audit_events, record_start
from llmasos.agent.approvals import sha256_json
from llmasos.agent.recorded_model import sha256_messages
from llmasos.agent.recording import record
from llmasos.config import Settings
from llmasos.errors import LedgerError, ModelError
from llmasos.events import ActionFinished, CallDecided
from llmasos.ledger import Entry, Filter, MemoryLedger
from llmasos.tools import Capabilities, KernelContext, Registry, builtin_tools, kernel_tool
from tests.agent.conftest import MakeStage

pytestmark = pytest.mark.anyio
WRITE = 'write_file(path="x.txt")\n```\nhunter2\n```'


@kernel_tool(capabilities=Capabilities(reads=True))
async def weather(ctx: KernelContext) -> str:
    """Return the weather."""
    return "fine"


async def test_calls_of_the_model_are_recorded_before_what_they_ask_for(stage: MakeStage) -> None:
    async with stage(WRITE, "Answer: done") as it:
        session = await it.session()
        with asked_through("headless"):
            await it.turn(session, "write hunter2 into x.txt")
        entries = it.ledger.entries
        assert [entry.kind for entry in entries] == ["session", "model", "intent", "outcome", "model"]
        first, intent, outcome, last = (entry.body for entry in entries[1:])
        assert first["model"] == intent["model"] == "qwen2.5-coder-1.5b"
        assert first["weights_sha256"] == intent["weights_sha256"] and len(intent["weights_sha256"]) == 64
        assert first["turn"] == intent["turn"] == outcome["turn"] == it.events[0].turn
        assert first["output_tokens"] == len(WRITE) and first["status"] == "ok"
        assert (intent["backend"], outcome["backend"]) == ("fake", "fake")
        assert len(outcome["diff_sha256"]) == 64 and intent["rule"] == "view"
        assert {entry.body["asked_by"]["client"] for entry in entries[1:]} == {"headless"}
        assert entries[0].body["asked_by"]["client"] == "kernel" and intent["asked_by"]["user"]
        assert "hunter2" not in json.dumps([entry.body for entry in entries])

        stored = ModelMessagesTypeAdapter.validate_json(
            (await _records.recent_messages(it.store, session.id, 1))[0]
        )
        assert first["messages_sha256"] == sha256_messages(stored[:1])
        assert first["reply_sha256"] == sha256_messages(stored[1:2])
        assert last["messages_sha256"] == sha256_messages(stored[:3])
        assert last["reply_sha256"] == sha256_messages(stored[3:])


async def test_recording_changes_nothing_of_what_a_model_is_told(
    stage: MakeStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []
    for recorded in (True, False):
        with monkeypatch.context() as patch:
            if not recorded:
                patch.setattr("llmasos.agent.model_choice.RecordedModel", lambda model, *_, **__: model)
            async with stage('read_file(path="notes.txt")', "nonsense(", "Answer: done") as it:
                await it.turn(await it.session(), "read it")
                told.append([request.model_dump_json(exclude={"session"}) for request in it.engine.requests])
    assert len(told[0]) == 3 and told[0] == told[1]


async def test_a_tool_does_not_run_when_the_reply_cannot_be_recorded(stage: MakeStage) -> None:
    class NoModels(MemoryLedger):
        async def record(self, entry: Entry) -> object:  # type: ignore[override]
            if entry.kind == "model":
                raise LedgerError("The disk is full.", hint="Free space.")
            return await super().record(entry)

    async with stage(WRITE, "Answer: done", ledger=NoModels()) as it:
        end = await it.turn(await it.session(), "write x.txt")
        assert end.status == "failed" and "disk is full" in end.error
        assert not it.of(ActionFinished)


async def test_a_call_without_a_reply_is_recorded_too(stage: MakeStage) -> None:
    async with stage(ModelError("It broke.")) as it:
        await it.turn(await it.session(), "hello")
        body = it.ledger.entries[-1].body
        assert (body["status"], body["error"]) == ("failed", "ModelError")


async def test_what_changes_nothing_has_no_hash_of_a_diff(stage: MakeStage) -> None:
    async with stage('read_file(path="notes.txt")', WRITE, "Answer: done") as it:
        session = await it.session()
        await it.turn(session, "read notes.txt, then write x.txt")
        outcomes = [entry.body for entry in it.ledger.entries if entry.kind == "outcome"]
        assert ["diff_sha256" in body for body in outcomes] == [False, True]
        await session.workbench.commit()
        assert it.ledger.entries[-1].body["diff_sha256"] == outcomes[1]["diff_sha256"]
        await session.workbench.undo()
        assert len(it.ledger.entries[-1].body["newest_of"]) == 1


async def test_calls_that_do_not_run_are_recorded_as_well(stage: MakeStage) -> None:
    async with stage(
        'read_file(path="notes.txt", limit=-1)', 'read_file(path="notes.txt")', "Answer: x"
    ) as it:
        await it.turn(await it.session(), "read")
        refused = next(entry for entry in it.ledger.entries if entry.kind == "outcome")
        assert refused.body["status"] == "invalid"
        told = it.of(ActionFinished)[0]
        assert told.arguments == {"path": "notes.txt", "limit": -1}
        assert refused.body["arguments_sha256"] == sha256_json(told.arguments)
        assert (await audit_events(it.store, it.ledger)).problems == ()


async def test_what_was_known_of_a_denied_call_is_recorded_with_it(stage: MakeStage) -> None:
    async with stage('read_file(path="/etc/passwd")', "Answer: x") as it:
        await it.turn(await it.session(), "read it")
        (decided,), (refused,) = it.of(CallDecided), [e for e in it.ledger.entries if e.kind == "outcome"]
        assert (refused.body["status"], refused.body["rule"]) == ("denied", "outside")
        assert refused.body["facts_sha256"] == sha256_json(decided.facts)
        assert refused.body["arguments_sha256"] == sha256_json(decided.arguments)


async def test_any_name_and_any_text_can_be_recorded() -> None:
    ledger = MemoryLedger()
    await record(ledger, "s", "outcome", tool="x\udcff" * 500, paths=["caf\udce9"], size=2**60, gone=None)
    assert len(ledger.entries[0].tool) == 200
    assert {"paths", "size", "asked_by"} == set(ledger.entries[0].body)


async def test_events_are_compared_and_what_was_erased_is_counted(stage: MakeStage) -> None:
    async with stage('read_file(path="notes.txt")', "weather()", "Answer: x", tools=(weather,)) as it:
        await it.turn(await it.session(), "read")
        seen: list[tuple[int, int]] = []
        audit = await audit_events(it.store, it.ledger, lambda *step: seen.append(step))
        assert (audit.events, audit.erased, audit.problems) == (4, 0, ()) and seen == [(4, 4)]
        first, second = it.of(ActionFinished)
        await it.ledger.erase(Filter(action=first.action), "asked for", "ada")
        for row in it.ledger._rows:
            if row.action == second.action and row.kind == "outcome" and row.body is not None:
                row.body = row.body.replace('"ok"', '"failed"')
        audit = await audit_events(it.store, it.ledger)
        assert audit.erased == 2
        assert audit.problems[0].endswith(
            f"the outcome of {second.action} (weather) is not the one that was recorded"
        )


async def test_tools_and_policy_are_recorded_when_they_change() -> None:
    ledger, settings = MemoryLedger(), Settings()
    await record_start(ledger, builtin_tools(), settings)
    assert [entry.kind for entry in ledger.entries] == ["plugin", "policy"]
    await record_start(ledger, builtin_tools(), settings)
    assert len(ledger.entries) == 2
    await record_start(ledger, Registry([*builtin_tools(), weather]), settings)
    assert [(entry.kind, entry.tool) for entry in ledger.entries[2:]] == [("plugin", "weather")]
    assert ledger.entries[2].body["module"].endswith(".weather")
    changed = [
        replace(one, description="Other.") if one.name == "read_file" else one for one in builtin_tools()
    ]
    opened = settings.model_copy(update={"sandbox_hosts": ("example.org",)})
    await record_start(ledger, Registry(changed), opened)
    assert [entry.body["set"] for entry in ledger.entries[3:]] == ["builtin", "settings"]

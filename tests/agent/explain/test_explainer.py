"""The explainer on a database: what is found, what is damaged, what a crash left."""

from __future__ import annotations

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session as Transaction

from llmasos.agent._tables import EventRow
from llmasos.agent.explain import Explainer
from llmasos.agent.policy.facts import Facts
from llmasos.api import TurnRequest
from llmasos.decisions import Decision
from llmasos.errors import UnknownRecordError
from llmasos.events import ActionStarted, ApprovalRequested, CallDecided, TurnStarted
from llmasos.ledger import Filter
from tests.agent.conftest import MakeStage, Stage

pytestmark = pytest.mark.anyio
READ = 'read_file(path="a.txt")'
WRITE = 'write_file(path="b.txt")\n```\nnew\n```'


def explainer(it: Stage) -> Explainer:
    return Explainer(it.store, it.ledger)


async def rewrite(it: Stage, type: str, old: str, new: str) -> None:
    def alter(transaction: Transaction) -> None:
        for row in transaction.query(EventRow).where(EventRow.type == type):
            assert old in row.body
            row.body = row.body.replace(old, new)

    await it.store.run(alter)


async def test_what_ran_is_explained_from_the_store(stage: MakeStage) -> None:
    async with stage(READ, "read_file(path=7)", WRITE, "Answer: done.") as it:
        session = await it.session()
        await it.turn(session, "write b.txt")
        found = await explainer(it).explain("last")
        assert found.request == "write b.txt" and found.status == "done" and found.problems == ()
        statuses = [action.status for action in found.actions]
        assert statuses == ["failed", "invalid", "ok"]
        assert all(action.problems == () for action in found.actions)
        assert all(action.proof and action.proof.agrees for action in found.actions)
        assert found.diff is not None and [change.path for change in found.diff] == ["b.txt"]
        assert found.decisions == ()
        await session.workbench.commit()
        later = await explainer(it).explain(found.turn)
        assert [(made.what, made.paths) for made in later.decisions] == [("commit", ("b.txt",))]
        await session.workbench.undo()
        last = await explainer(it).explain(found.actions[2].action)
        assert [made.what for made in last.decisions] == ["commit", "undo"]
        assert [action.action for action in last.actions] == [found.actions[2].action]


async def test_each_turn_has_its_own_actions(stage: MakeStage) -> None:
    async with stage(READ, "Answer: a.", READ, "Answer: b.") as it:
        one, two = await it.session(), await it.session()
        await it.turn(one, "first")
        await it.turn(two, "second")
        last = await explainer(it).explain("last")
        assert (last.request, last.session, last.id) == ("second", two.id, last.turn)
        first = await explainer(it).explain(one.id)
        assert (first.request, len(first.actions)) == ("first", 1)
        with pytest.raises(UnknownRecordError, match="no action, turn") as refused:
            await explainer(it).explain("a-nothere")
        assert first.turn in refused.value.hint and last.turn in refused.value.hint
        with pytest.raises(UnknownRecordError) as unseen:
            await explainer(it).find(first.turn, [two.id])
        assert first.turn not in unseen.value.hint


async def test_before_the_first_turn_there_is_nothing_to_explain(stage: MakeStage) -> None:
    async with stage() as it:
        with pytest.raises(UnknownRecordError, match="no turn to explain"):
            await explainer(it).explain("last")
        session = await it.session()
        with pytest.raises(UnknownRecordError, match="has no turn yet"):
            await explainer(it).explain(session.id)


async def test_a_word_in_an_argument_is_no_action(stage: MakeStage) -> None:
    async with stage() as it:
        session = await it.session()
        await session.stream.append(TurnStarted(turn="t-1", text="x"))
        await session.stream.append(
            ActionStarted(turn="t-1", action="a-1", tool="t", arguments={"action": "a-2"})
        )
        with pytest.raises(UnknownRecordError):
            await explainer(it).explain("a-2")
        assert [one.action for one in (await explainer(it).explain("a-1")).actions] == ["a-1"]


async def test_an_action_that_a_crash_left_is_explained_before_and_after_the_recovery(
    stage: MakeStage,
) -> None:
    async with stage(WRITE, "Answer: done.") as it:
        session = await it.session()
        await it.turn(session, "write b.txt")
        decision = Decision(verdict="allow", rules=("view",), reason="", policy="p")
        await session.stream.append(TurnStarted(turn="t-1", text="again"))
        await session.stream.append(
            CallDecided(
                turn="t-1",
                action="a-1",
                tool="write_file",
                arguments={},
                decision=decision,
                facts=Facts().model_dump(mode="json"),
            )
        )
        found = await explainer(it).explain("a-1")
        assert found.absent["status"].startswith("no end is stored")
        (action,) = found.actions
        assert action.absent["outcome"].startswith("no end is stored")
        assert action.absent["proof"] == "the ledger holds nothing of it"
        assert action.decision == decision and action.problems == ()


async def test_events_that_were_altered_are_told(stage: MakeStage) -> None:
    async with stage(WRITE, "Answer: done.") as it:
        session = await it.session()
        await it.turn(session, "write b.txt")
        turn = it.events[0].turn
        await rewrite(it, "action_started", "b.txt", "c.txt")
        (action,) = (await explainer(it).explain(turn)).actions
        assert len(action.problems) == 1 and "arguments" in action.problems[0]
        assert action.proof is not None and action.proof.agrees is False

        await rewrite(it, "action_finished", '"action_finished"', '"nonsense"')
        found = await explainer(it).explain(turn)
        assert [problem.endswith("cannot be read any more") for problem in found.problems] == [True]
        (action,) = found.actions
        assert action.status is None and action.absent["outcome"]

        def forget(transaction: Transaction) -> None:
            transaction.execute(update(EventRow).where(EventRow.type != "turn_started").values(turn="t-0"))

        await it.store.run(forget)
        (hidden,) = (await explainer(it).explain(turn)).actions
        assert hidden.action == action.action and "the session does not show it" in hidden.problems[0]


async def test_erased_records_neither_agree_nor_not(stage: MakeStage) -> None:
    async with stage(WRITE, "Answer: done.") as it:
        session = await it.session()
        await it.turn(session, "write b.txt")
        await it.ledger.erase(Filter(session=session.id), "asked to", "ada")
        (action,) = (await explainer(it).explain("last")).actions
        assert action.problems == () and action.proof is not None and action.proof.agrees is None


async def test_many_records_of_a_session_are_looked_through(
    stage: MakeStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmasos.agent.explain.log._AT_ONCE", 2)
    async with stage(*[READ, WRITE] * 3, "Answer: done.") as it:
        session = await it.session()
        await it.turn(session, "write b.txt")
        found = await explainer(it).explain("last")
        assert len(found.actions) == 6 and all(
            one.proof and len(one.proof.records) == 2 for one in found.actions
        )


async def test_what_was_done_in_the_folder_itself_is_not_called_nothing(stage: MakeStage) -> None:
    async with stage(WRITE, "Answer: done.") as it:
        session = await it.sessions.create(it.folder, in_place=True)
        await it.turn(session, "write b.txt")
        found = await explainer(it).explain(it.events[0].turn)
        assert found.diff is None and "folder itself" in found.absent["diff"]
        assert found.actions[0].changes is None and "folder itself" in found.actions[0].absent["changes"]


async def test_a_call_that_was_cancelled_while_it_waited_has_an_end(stage: MakeStage) -> None:
    async with stage('read_file(path="notes.txt")', 'run_shell(command="./x")', "Answer: done.") as it:
        session = await it.session()
        accepted = await session.start(TurnRequest(text="what does notes.txt say?"))
        async with session.stream.follow(accepted.after) as events:
            async for event in events:
                if isinstance(event, ApprovalRequested):
                    break
        await session.cancel()
        found = await explainer(it).explain(accepted.turn)
        asked = found.actions[-1]
        assert (asked.tool, asked.status) == ("run_shell", "cancelled") and not asked.problems
        assert asked.proof is not None and asked.proof.agrees

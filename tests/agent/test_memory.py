"""What people asked to remember: told to the model where it holds, and nothing told without it."""

from __future__ import annotations

import pytest

from llmasos.agent import Memory
from llmasos.agent.memory import LONGEST, told
from llmasos.api import TurnRequest
from llmasos.errors import InvalidValueError, UnknownFactError
from llmasos.models import Client
from llmasos.secrets import Redactor
from tests.agent.conftest import MakeStage, Stage

pytestmark = pytest.mark.anyio


def memory(it: Stage) -> Memory:
    return Memory(it.store, Redactor())


def asked(it: Stage) -> str:
    return "\n".join(turn.content for turn in it.engine.requests[-1].turns)


async def test_the_model_is_told_what_holds_in_the_folder_and_everywhere(stage: MakeStage) -> None:
    async with stage(*["Answer: ok"] * 4) as it:
        await it.turn(await it.session(), "hello")
        bare = it.engine.requests[-1].turns
        here, there = str(it.folder.resolve()), "/elsewhere"
        first = await memory(it).add("Reports go to  out/\nreports", here)
        await memory(it).add("Sign with K.", "")
        await memory(it).add("Not this one", there)
        await memory(it).add("Nor this one", here, owner="k-1")
        await it.turn(await it.session(), "hello")
        kept = "The person asked to keep in mind:\n- Sign with K.\n- Reports go to out/ reports"
        assert kept in asked(it) and "this one" not in asked(it)
        await memory(it).edit(first.id, "Reports go to done/")
        session = await it.session()
        await it.turn(session, "hello")
        assert "done/" in asked(it) and "out/" not in asked(it)
        assert session._listening is not None and session._listening.tracker.named("done/report")
        for fact in await memory(it).list():
            await memory(it).remove(fact.id)
        await it.turn(await it.session(), "hello")
        assert it.engine.requests[-1].turns == bare, "without facts, nothing is said of them"


async def test_what_was_forgotten_or_changed_is_told_no_more(stage: MakeStage) -> None:
    async with stage(*["Answer: ok"] * 5) as it:
        session = await it.session()
        french = await memory(it).add("Answer in French.")
        reports = await memory(it).add("Reports go to out.")
        await it.turn(session, "one")
        assert "French" in asked(it) and "out." in asked(it)
        await memory(it).remove(french.id)
        await memory(it).edit(reports.id, "Reports go to done.")
        await it.turn(session, "two")
        assert "French" not in asked(it) and "out." not in asked(it) and asked(it).count("done.") == 1
        await it.turn(session, "three")
        assert asked(it).count("done.") == 1, "it is told with the newest request only"
        await memory(it).remove(reports.id)
        await it.turn(session, "four")
        assert "keep in mind" not in asked(it)


async def test_a_keys_session_is_told_the_keys_facts(stage: MakeStage) -> None:
    async with stage("Answer: ok") as it:
        await memory(it).add("Mine")
        await memory(it).add("Theirs", owner="k-1")
        session = await it.session()
        await session.start(TurnRequest(text="hello"), Client(tenant="k-1", band="normal"))
        await session.wait()
        assert "- Theirs" in asked(it) and "- Mine" not in asked(it)


async def test_facts_are_their_owners(stage: MakeStage) -> None:
    async with stage() as it:
        fact = await memory(it).add("Mine")
        for owner in ("k-1", "k-2"):
            with pytest.raises(UnknownFactError, match="no fact"):
                await memory(it).edit(fact.id, "Theirs", owner)
            with pytest.raises(UnknownFactError):
                await memory(it).remove(fact.id, owner)
            assert await memory(it).list(owner=owner) == []
        with pytest.raises(UnknownFactError):
            await memory(it).remove("m-nothere")
        assert [one.text for one in await memory(it).list()] == ["Mine"]


async def test_what_cannot_be_remembered_says_why(stage: MakeStage) -> None:
    async with stage() as it:
        with pytest.raises(InvalidValueError, match="nothing to remember"):
            await memory(it).add(" \n")
        with pytest.raises(InvalidValueError, match="1,000 characters at most") as caught:
            await memory(it).add("x" * (LONGEST + 1))
        assert "file" in caught.value.hint
        secret = "ghp_" + "a1B2c3D4e5F6g7H8i9J0" * 2
        assert secret not in (await memory(it).add(f"the key is {secret}")).text


async def test_the_newest_are_told_within_a_budget(stage: MakeStage) -> None:
    async with stage() as it:
        for number in range(40):
            await memory(it).add(f"fact {number:02} " + "x" * 90)
        facts = await memory(it).list()
        for small, most in ((False, 2100), (True, 400)):
            text = told(facts, small=small)
            assert len(text) <= most and "fact 39" in text and "fact 00" not in text
        assert told([], small=False) == told([], small=True) == ""


async def test_nothing_is_remembered_twice(stage: MakeStage) -> None:
    async with stage() as it:
        first = await memory(it).add("Sign with K.", "/here")
        again = await memory(it).add(" sign  with k. ", "/here")
        assert (again.id, again.already, first.already) == (first.id, True, False)
        # Another folder, and another owner, know nothing of it; what holds everywhere is known in each.
        assert not (await memory(it).add("Sign with K.", "/there")).already
        assert not (await memory(it).add("Sign with K.", "/here", owner="k-1")).already
        everywhere = await memory(it).add("Sign with K.")
        assert not everywhere.already
        assert (await memory(it).add("SIGN WITH K.", "/elsewhere")).id == everywhere.id
        assert len(await memory(it).list()) == 3

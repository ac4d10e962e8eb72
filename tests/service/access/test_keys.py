"""Keys: what is kept of them, what they may use, how they end."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import anyio
import pytest

from llmasos.agent import metered
from llmasos.agent.metering import admit, charge
from llmasos.errors import ConfigError, LedgerError, UnknownRecordError
from llmasos.ledger import Entry, Record
from llmasos.service.access import Access
from llmasos.service.refusals import LimitReached, NotAllowed, QuotaReached, WrongKey
from tests.service.access.conftest import Desk

pytestmark = pytest.mark.anyio


async def access(desk: Desk, secret: str) -> Access:
    account = await desk.keys.find(secret)
    assert account is not None
    return desk.keys.access(account)


async def test_only_a_hash_of_the_secret_is_kept(desk: Desk, tmp_path: Path) -> None:
    made = await desk.make(scopes=("agent", "approve"), models=("qwen*",))
    secret = made.secret.split("-", 3)[3]
    assert len(made.secret) > 60 and made.key.id in made.secret.replace("sk-llmasos-", "k-")
    with sqlite3.connect(tmp_path / "llmasos.db") as database:
        written = "\n".join(database.iterdump())
    database.close()
    assert made.key.id in written and secret[:20] not in written
    assert made.secret not in str([entry.model_dump() for entry in desk.ledger.entries])


async def test_a_key_is_found_by_its_whole_secret_only_also_after_a_restart(desk: Desk) -> None:
    made, other = await desk.make(), await desk.make()
    for keys in (desk.keys, desk.reopened()):
        found = await keys.find(made.secret)
        assert found is not None and found.key.id == made.key.id
    stranger = made.secret[:-1] + ("A" if made.secret[-1] != "A" else "B")
    mixed = made.secret[:22] + other.secret[22:]
    for wrong in (
        "",
        stranger,
        mixed,
        made.secret + "x",
        made.secret.upper(),
        "sk-llmasos-é",
        "\ud800",
        "x" * 10**6,
    ):
        assert await desk.keys.find(wrong) is None


async def test_making_and_revoking_is_recorded_and_counts_at_once(desk: Desk) -> None:
    made = await desk.make(scopes=("admin",), tokens_per_day=5)
    account = await desk.keys.find(made.secret)
    assert account is not None and account.ended == ""
    await desk.keys.revoke(made.key.id)
    await desk.keys.revoke(made.key.id)
    assert account.ended == "was revoked"
    again = await desk.reopened().find(made.secret)
    assert again is not None and again.ended == "was revoked"
    bodies = [entry.body for entry in desk.ledger.entries if entry.kind == "key"]
    assert [body["change"] for body in bodies] == ["created", "revoked"]
    assert bodies[0]["scopes"] == ["admin"] and bodies[0]["tokens_per_day"] == 5
    with pytest.raises(UnknownRecordError, match="k-nothere"):
        await desk.keys.revoke("k-nothere")


async def test_what_runs_for_a_key_ends_when_it_is_revoked(desk: Desk) -> None:
    made = await desk.make()
    account = await desk.keys.find(made.secret)
    assert account is not None
    async with anyio.create_task_group() as tasks:
        account.running.add(tasks.cancel_scope)
        tasks.start_soon(anyio.sleep_forever)
        await desk.keys.revoke(made.key.id)
    assert tasks.cancel_scope.cancelled_caught


async def test_a_key_that_cannot_be_recorded_is_not_made(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(entry: Entry) -> Record:
        raise LedgerError("The disk is full.")

    monkeypatch.setattr(desk.ledger, "record", fails)
    with pytest.raises(LedgerError):
        await desk.make()
    assert await desk.reopened().list() == []


async def test_a_key_ends_after_its_days(desk: Desk) -> None:
    made = await desk.make(expires_days=1.5)
    account = await desk.keys.find(made.secret)
    assert account is not None
    desk.pass_time(hours=35)
    assert account.ended == "" and account.seconds_left() == 3600
    desk.pass_time(hours=1)
    assert account.ended == "has expired"


async def test_what_a_key_opens(desk: Desk) -> None:
    one = await access(desk, (await desk.make(models=("qwen*", "small"))).secret)
    one.require("models")
    with pytest.raises(NotAllowed, match="scope 'agent'"):
        one.require("agent")
    assert [one.allows(name) for name in ("qwen2", "small", "smaller", "QWEN2")] == [True, True, False, False]
    with pytest.raises(NotAllowed, match="large") as caught:
        one.require_model("large")
    assert "qwen*, small" in caught.value.hint
    root = await access(desk, (await desk.make(scopes=("admin",), priority="batch")).secret)
    assert set(root.scopes) == {"models", "agent", "approve", "admin"} and root.allows("anything")
    assert root.band == "batch" and root.tenant == root.key_id


async def test_the_days_tokens_are_not_forgotten_and_begin_anew(desk: Desk) -> None:
    made = await desk.make(tokens_per_day=100)
    one = await access(desk, made.secret)
    with one.call():
        await one.spent("small", 60, 60)
    desk.keys = desk.reopened()
    one = await access(desk, made.secret)
    with pytest.raises(QuotaReached, match="100 tokens a day") as caught, one.call():
        pytest.fail("it began")
    assert caught.value.headers() == {"x-should-retry": "false", "retry-after": str(12 * 3600)}
    desk.pass_time(hours=13)
    with one.call():
        pass
    info = await desk.keys.get(made.key.id)
    assert (info.today.calls, info.month.input_tokens, info.total.output_tokens) == (0, 60, 60)


async def test_a_budget_counts_prices_by_the_month(desk: Desk) -> None:
    made = await desk.make(budget=0.001)
    one = await access(desk, made.secret)
    await one.spent("small", 100, 100)
    await one.spent("unpriced", 10**9, 10**9)
    with one.call():
        await one.spent("large", 10, 10)
    info = await desk.keys.get(made.key.id)
    assert info.month.cost == pytest.approx(0.001) and info.total.calls == 3
    with pytest.raises(QuotaReached, match=r"may cost 0\.001 a month"), one.call():
        pytest.fail("it began")
    desk.pass_time(days=5)
    with pytest.raises(QuotaReached), one.call():
        pytest.fail("it is still November")
    desk.pass_time(days=1)
    with one.call():
        pass
    assert (await desk.reopened().get(made.key.id)).month.calls == 0


async def test_a_budget_needs_prices(desk: Desk) -> None:
    desk.prices.clear()
    with pytest.raises(ConfigError, match="needs prices"):
        await desk.make(budget=1)


async def test_tokens_of_a_minute_may_be_overdrawn_once_and_are_paid_back(desk: Desk) -> None:
    made = await desk.make(tokens_per_minute=600)
    one = await access(desk, made.secret)
    with one.call():
        await one.spent("small", 1000, 200)
    with pytest.raises(LimitReached, match="600 tokens a minute") as caught, one.call():
        pytest.fail("it began")
    assert caught.value.retry_after == pytest.approx(60.1)
    desk.pass_time(seconds=61)
    with one.call():
        pass


async def test_many_at_once_do_not_pass_a_limit_together(desk: Desk) -> None:
    made = await desk.make(tokens_per_day=2500)
    several = [await access(desk, made.secret) for _ in range(10)]
    began = []
    for one in several:
        call = one.call()
        try:
            call.__enter__()
        except QuotaReached:
            continue
        began.append(call)
    assert len(began) == 3
    for call in began:
        call.__exit__(None, None, None)
    first, second = several[:2]
    with first.call():
        first.reserve(2500)
        with pytest.raises(QuotaReached), second.call():
            pytest.fail("it began")
        await first.spent("small", 1, 1)
        with second.call():
            pass
    account = await desk.keys.find(made.secret)
    assert account is not None and account.reserved == 0


async def test_charges_at_once_are_all_kept(desk: Desk) -> None:
    made = await desk.make()
    one = await access(desk, made.secret)
    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(one.spent, "m" * 300, 1, 2)
    for keys in (desk.keys, desk.reopened()):
        total = (await keys.get(made.key.id)).total
        assert (total.calls, total.input_tokens, total.output_tokens) == (20, 20, 40)


async def test_a_turn_stops_asking_when_its_quota_or_its_key_has_ended(desk: Desk) -> None:
    made = await desk.make(tokens_per_day=10)
    one = await access(desk, made.secret)
    with metered(one):
        await admit()
        await charge("small", 5, 5)
        with pytest.raises(QuotaReached):
            await admit()
        desk.pass_time(days=1)
        await admit()
        await desk.keys.revoke(made.key.id)
        with pytest.raises(WrongKey, match="was revoked"):
            await admit()
    await admit()
    await charge("small", 1, 1)
    assert (await desk.keys.get(made.key.id)).total.calls == 1


async def test_a_turn_is_not_kept_out_by_the_request_that_began_it(desk: Desk) -> None:
    made = await desk.make(tokens_per_day=10)
    one, other = await access(desk, made.secret), await access(desk, made.secret)
    with one.call():
        await one.admit()
        with pytest.raises(QuotaReached):
            await other.admit()


async def test_a_turn_waits_for_a_minutes_tokens(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    one = await access(desk, (await desk.make(tokens_per_minute=60)).secret)
    await one.spent("small", 60, 30)

    async def sleep(seconds: float) -> None:
        desk.pass_time(seconds=seconds)

    monkeypatch.setattr(anyio, "sleep", sleep)
    before = desk.time
    await one.admit()
    assert (desk.time - before).total_seconds() == pytest.approx(31)


async def test_last_use_is_noted_and_does_not_undo_a_revocation(desk: Desk) -> None:
    made = await desk.make()
    account = await desk.keys.find(made.secret)
    assert account is not None
    await desk.keys.used(account)
    used = desk.time
    desk.pass_time(seconds=30)
    await desk.keys.used(account)
    async with anyio.create_task_group() as tasks:
        desk.pass_time(seconds=60)
        tasks.start_soon(desk.keys.used, account)
        tasks.start_soon(desk.keys.revoke, made.key.id)
    info = await desk.reopened().get(made.key.id)
    assert info.revoked == desk.time and info.last_used == desk.time and used != desk.time

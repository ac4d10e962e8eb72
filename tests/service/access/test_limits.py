"""Limits at their edges: several choices, clocks that are set back, failures half way, refusals."""

from __future__ import annotations

from datetime import datetime

import anyio
import pytest

from llmasos.api import KeyInfo
from llmasos.config import ModelSettings
from llmasos.errors import LedgerError
from llmasos.service.access import _rows as rows
from llmasos.service.access import prices_of
from llmasos.service.refusals import QuotaReached
from llmasos.store import Store
from tests.service.access.conftest import PRICES, Desk
from tests.service.access.test_keys import access

pytestmark = pytest.mark.anyio


async def test_a_choice_that_ends_leaves_what_is_held_for_the_others(desk: Desk) -> None:
    made = await desk.make(tokens_per_day=100)
    one, other = await access(desk, made.secret), await access(desk, made.secret)
    account = await desk.keys.find(made.secret)
    assert account is not None
    with one.call():
        one.reserve(60, calls=3)
        for left in (120, 60):
            await one.spent("small", 1, 1)
            assert account.reserved == left
        with other.call():
            pass
        one.reserve(60, calls=2)
        with pytest.raises(QuotaReached), other.call():
            pytest.fail("it began")
        await one.spent("small", 40, 20)
        # What was used and what is held for the last choice are more than a day has.
        with pytest.raises(QuotaReached), other.call():
            pytest.fail("it began")
    assert account.reserved == 0


async def test_an_adapter_costs_what_its_model_does_unless_it_has_a_price(desk: Desk) -> None:
    adapters = {"small": {"law": "/a", "dear": "/b"}, "free": {"x": "/c"}}
    settings = ModelSettings.model_validate(
        {"prices": {**PRICES, "small:dear": (100.0, 100.0)}, "adapters": adapters}
    )
    prices = prices_of(settings)
    assert prices == {**PRICES, "small:dear": (100.0, 100.0), "small:law": PRICES["small"]}
    desk.prices = prices
    desk.keys = desk.reopened()
    made = await desk.make(budget=1)
    one = await access(desk, made.secret)
    await one.spent("small:law", 1_000_000, 0)
    with pytest.raises(QuotaReached), one.call():
        pytest.fail("it began")


async def test_the_list_of_a_key_means_whole_names_of_adapters(desk: Desk) -> None:
    plain = await access(desk, (await desk.make(models=("small",))).secret)
    assert plain.allows("small") and not plain.allows("small:law")
    wide = await access(desk, (await desk.make(models=("small:*",))).secret)
    assert wide.allows("small:law") and not wide.allows("small")


async def test_a_clock_that_is_set_back_over_midnight_does_not_begin_the_day_anew(desk: Desk) -> None:
    made = await desk.make(tokens_per_day=100)
    one = await access(desk, made.secret)
    await one.spent("small", 50, 50)
    desk.pass_time(hours=12, minutes=1)
    await one.spent("small", 5, 5)
    desk.pass_time(minutes=-2)
    with pytest.raises(QuotaReached), one.call():
        pytest.fail("it began")
    desk.pass_time(minutes=2)
    info = await desk.keys.get(made.key.id)
    assert (info.today.calls, info.month.calls, info.total.calls) == (1, 2, 2)
    desk.pass_time(days=10)
    await one.spent("small", 1, 1)
    desk.pass_time(days=-10)
    assert (await desk.keys.get(made.key.id)).month.calls == 2


async def test_a_revocation_that_failed_is_made_good_when_it_is_tried_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await desk.make()
    write, faults = rows.set_time, [OSError("The disk is full.")]

    async def set_time(store: Store, key: str, name: str, at: datetime) -> None:
        if faults:
            raise faults.pop()
        await write(store, key, "revoked", at)

    monkeypatch.setattr(rows, "set_time", set_time)
    with pytest.raises(OSError):
        await desk.keys.revoke(made.key.id)
    account = await desk.keys.find(made.secret)
    assert account is not None and account.ended == "was revoked"
    first = account.key.revoked
    desk.ledger.refuse = LedgerError("The disk is full.")
    with pytest.raises(LedgerError):
        await desk.keys.revoke(made.key.id)
    desk.ledger.refuse = None
    desk.pass_time(hours=1)
    for _ in range(2):
        assert (await desk.keys.revoke(made.key.id)).revoked == first
    bodies = [entry.body for entry in desk.ledger.entries if entry.kind == "key"]
    assert [body["change"] for body in bodies] == ["created", "revoked"]
    again: KeyInfo = await desk.reopened().get(made.key.id)
    assert again.revoked == first


async def test_refusals_are_recorded_once_a_minute_with_their_number(desk: Desk) -> None:
    made, other = await desk.make(), await desk.make()
    one, two = await access(desk, made.secret), await access(desk, other.secret)
    for _ in range(1000):
        await one.refused("limit")
    await one.refused("access")
    await two.refused("limit")
    desk.pass_time(seconds=60)
    await one.refused("limit")
    for _ in range(4):
        await one.refused("limit")
    await desk.keys.settle()
    await desk.keys.settle()
    found = [entry for entry in desk.ledger.entries if entry.kind == "model"]
    mine = [entry for entry in found if entry.session == f"api:{made.key.id}"]
    assert [(entry.body["error"], entry.body["calls"]) for entry in mine] == [
        ("limit", 1),
        ("access", 1),
        ("limit", 1000),
        ("limit", 4),
    ]
    assert {entry.body["status"] for entry in found} == {"refused"} and len(found) == 5
    assert {entry.body["asked_by"]["client"] for entry in mine} == {f"api:{made.key.id}"}


async def test_a_refusal_that_cannot_be_recorded_is_a_refusal_all_the_same(desk: Desk) -> None:
    one = await access(desk, (await desk.make()).secret)
    desk.ledger.refuse = LedgerError("The disk is full.")
    await one.refused("limit")


async def test_what_is_held_is_free_when_a_request_is_cancelled(desk: Desk) -> None:
    made = await desk.make(tokens_per_day=100)
    one = await access(desk, made.secret)
    with anyio.move_on_after(0), one.call():
        one.reserve(5000, calls=16)
        await anyio.sleep_forever()
    account = await desk.keys.find(made.secret)
    assert account is not None and account.reserved == 0

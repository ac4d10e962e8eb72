"""What keys used, written to the database."""

from collections.abc import Mapping

import anyio
import pytest

from llmasos.errors import ConfigError
from llmasos.service.access import _rows as rows
from llmasos.service.access.charges import Charges
from llmasos.service.access.usage import Tally
from llmasos.store import Store
from tests.service.access.conftest import Desk

pytestmark = pytest.mark.anyio

CALL = Tally(calls=1, input_tokens=2, output_tokens=3, cost=0.5)


class Watched:
    """Watches what is written.

    Args:
        failures: How many times the database refuses at first.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, failures: int = 0) -> None:
        self.written: list[int] = []
        self.failures = failures
        self._write = rows.add_usage
        monkeypatch.setattr(rows, "add_usage", self.add_usage)

    async def add_usage(self, store: Store, tallies: Mapping[rows.Place, Tally]) -> None:
        if self.failures:
            self.failures -= 1
            raise ConfigError("The database cannot be used: the disk is full.", hint="Free space.")
        await self._write(store, tallies)
        self.written.append(sum(tally.calls for tally in tallies.values()))


async def calls(desk: Desk) -> int:
    return sum(tally.calls for _, _, tally in await rows.load_usage(desk.store))


async def charge(charges: Charges, key: str, times: int) -> None:
    for number in range(times):
        await charges.add(key, "2026-11-25", f"model{number % 2}", CALL)


async def test_a_charge_is_written_before_a_call_goes_on_where_nobody_writes_behind(desk: Desk) -> None:
    key = (await desk.make()).key.id
    await charge(Charges(desk.store), key, 3)
    assert await calls(desk) == 3


async def test_charges_of_a_moment_are_written_together_and_the_rest_at_the_end(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched, key = Watched(monkeypatch), (await desk.make()).key.id
    charges = Charges(desk.store)
    async with charges.written():
        await charge(charges, key, 20)
        with anyio.fail_after(30):
            while not watched.written:
                await anyio.sleep(0.01)
        assert await calls(desk) == 20
        await charge(charges, key, 5)
    assert watched.written == [20, 5]
    assert await calls(desk) == 25


async def test_what_cannot_be_written_is_tried_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmasos.service.access.charges.RETRY_SECONDS", 0.0)
    watched, key = Watched(monkeypatch, failures=2), (await desk.make()).key.id
    charges = Charges(desk.store)
    async with charges.written():
        await charge(charges, key, 4)
        with anyio.fail_after(30):
            while not watched.written:
                await anyio.sleep(0.01)
    assert await calls(desk) == 4
    assert not watched.failures


async def test_names_of_models_that_are_cut_alike_are_one(desk: Desk) -> None:
    key = (await desk.make()).key.id
    charges = Charges(desk.store)
    async with charges.written():
        for last in "ab":
            await charges.add(key, "2026-11-25", "m" * rows.LONGEST_MODEL + last, CALL)
    assert await calls(desk) == 2

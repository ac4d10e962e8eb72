"""The outbox under random schedules, and with a failure at every one of its steps."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmasos.ledger import MemoryChain
from llmasos.ledger._tables import RecordRow
from llmasos.ledger.chains.port import ChainError
from tests.ledger.conftest import Bench

pytestmark = pytest.mark.anyio

MODES = ("each", "batch", "merkle")
CHAIN_CALLS = ("nonce", "fees", "send", "receipts", "block", "has_code", "sessions", "balance", "adopt")


class Killed(BaseException):
    """The process ends here."""


class Killer:
    """Ends the process at one of the moments before or after anything that the outbox does.

    Args:
        at: Which moment; none when it is negative.
    """

    def __init__(self, bench: Bench, at: int) -> None:
        self._left = at
        self.moments = 0
        for name in CHAIN_CALLS:
            self._wrap(bench.chain, name)
        for name in ("run", "read"):
            self._wrap(bench.store, name)

    def _moment(self) -> None:
        self.moments += 1
        self._left -= 1
        if self._left == -1:
            raise Killed

    def _wrap(self, thing: object, name: str) -> None:
        real: Callable[..., Any] = getattr(type(thing), name)

        async def wrapped(*args: Any, **options: Any) -> Any:
            self._moment()
            result = await real(thing, *args, **options)
            self._moment()
            return result

        setattr(thing, name, wrapped)

    @staticmethod
    def stop(bench: Bench) -> None:
        for thing, names in ((bench.chain, CHAIN_CALLS), (bench.store, ("run", "read"))):
            for name in names:
                thing.__dict__.pop(name, None)


async def all_of_it(bench: Bench, mode: str) -> None:
    await bench.record("a", 2)
    await bench.record("b")
    await bench.settle()
    bench.chain.reorganise(2)
    await bench.record("a", 3)
    await bench.settle()
    await bench.chain.prepare()
    await bench.settle()
    await bench.record("b", 2)
    await bench.settle()


async def crash_at(tmp_path: Path, mode: str, first: int, every: int) -> int:
    """Crash at some of the moments, and return how many there are."""
    for at in range(first, 1000, every):
        folder = tmp_path / str(at)
        folder.mkdir()
        bench = Bench(folder, mode=mode, batch=3)
        killer = Killer(bench, at)
        try:
            await all_of_it(bench, mode)
        except Killed:
            Killer.stop(bench)
            bench.reopen()
            await bench.record("a")
            await bench.settle()
            bench.check()
            bench.close()
            continue
        Killer.stop(bench)
        bench.check()
        bench.close()
        return killer.moments
    raise AssertionError("it does not come to an end")


@pytest.mark.parametrize(("first", "mode"), list(enumerate(MODES)))
async def test_a_crash_at_any_step_loses_and_doubles_nothing(tmp_path: Path, mode: str, first: int) -> None:
    # The integration tests crash at more of them.
    assert await crash_at(tmp_path, mode, first, 61) > 150


async def one(bench: Bench, dice: random.Random) -> None:
    """Let one thing happen."""
    chain = bench.chain
    what = dice.randrange(100)
    try:
        if what < 30:
            await bench.record(dice.choice("abc"), dice.randint(1, 4))
        elif what < 55:
            await bench.outbox.step()
        elif what < 65:
            chain.mine(dice.choice((None, 1, 2)))
        elif what < 75:
            chain.reorganise(dice.randint(1, 10), keep=dice.random() < 0.5)
        elif what < 77:
            chain.wipe()
        elif what < 82:
            chain.away = not chain.away
        elif what < 87:
            bench.reopen()
        elif what < 90:
            bench.reopen(mode=dice.choice(MODES))
        elif what < 95:
            Killer(bench, dice.randrange(12))
            await bench.outbox.step()
        elif what < 97:
            chain.base_fee = dice.choice((1, 1, 5))
        elif await chain.has_code(bench.outbox.contract):
            # Somebody else uses the account.
            await chain.send([chain.sign(await chain.nonce(), "0x" + "33" * 20, b"", await chain.fees()).raw])
    except ChainError:
        pass
    except Killed:
        Killer.stop(bench)
        bench.reopen()
    finally:
        Killer.stop(bench)


async def whatever_happens(folder: Path, seed: int) -> None:
    """Let many things happen, and see that it all comes to a good end."""
    dice = random.Random(seed)
    bench = Bench(folder, mode=dice.choice(MODES), batch=dice.choice((0, 3)))
    bench.chain = MemoryChain(automatic=dice.random() < 0.5)
    bench.reopen()
    for _ in range(80):
        await one(bench, dice)
    bench.chain.away, bench.chain.base_fee = False, 1
    await bench.settle(400)
    bench.check()
    assert len(bench.rows(RecordRow)) > 20
    bench.close()


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_happens_each_record_is_on_the_chain_once(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmasos.ledger._offers.STUCK_SECONDS", 0.0)
    # With a small window, some are signed while others are sent.
    monkeypatch.setattr("llmasos.ledger._outbox.WINDOW", (1, 2, 4, 1024)[seed % 4])
    await whatever_happens(tmp_path, seed)

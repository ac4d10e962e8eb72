"""A warm pool hands each sandbox out once, to its owner, and never one that has died."""

from __future__ import annotations

import pytest

from llmasos.errors import SandboxError
from llmasos.sandbox.pool import Owner, WarmPool

pytestmark = pytest.mark.anyio
ONE, OTHER = Owner(1, 1), Owner(2, 2)


class Warm:
    def __init__(self, owner: Owner) -> None:
        self.owner = owner
        self.lost = False

    async def close(self) -> None:
        self.lost = True


class Starter:
    def __init__(self) -> None:
        self.started: list[Warm] = []
        self.broken = False

    async def __call__(self, owner: Owner) -> Warm:
        if self.broken:
            raise SandboxError("It cannot start.")
        self.started.append(Warm(owner))
        return self.started[-1]


async def test_each_is_handed_out_once() -> None:
    start = Starter()
    pool = WarmPool(2, start, ONE)
    await pool.warm()
    taken = [await pool.take(ONE) for _ in range(3)]
    assert taken == [*start.started, None]
    await pool.close()
    assert not start.started[0].lost


async def test_an_owner_never_gets_anothers_and_the_dead_are_passed_over() -> None:
    start = Starter()
    pool = WarmPool(2, start, ONE)
    await pool.warm()
    start.started[0].lost = True
    assert await pool.take(OTHER) is None
    assert await pool.take(ONE) is start.started[1]
    assert await pool.take(ONE) is None
    await pool.close()


async def test_what_nobody_took_is_ended() -> None:
    start = Starter()
    pool = WarmPool(2, start, ONE)
    await pool.warm()
    await pool.close()
    assert [one.lost for one in start.started] == [True, True]


async def test_a_start_that_fails_leaves_the_pool_empty() -> None:
    start = Starter()
    start.broken = True
    pool = WarmPool(1, start, ONE)
    await pool.warm()
    assert await pool.take(ONE) is None
    await pool.close()

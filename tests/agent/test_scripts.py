"""Which files of the folder a call runs."""

from __future__ import annotations

import pytest

from llmasos.agent.policy import Facts
from llmasos.agent.scripts import held

pytestmark = pytest.mark.anyio


async def test_files_that_are_named_come_before_those_that_are_guessed() -> None:
    named = [f"tests/t{number}.py" for number in range(9)]
    weighed: list[str] = []

    async def weigh(path: str) -> str:
        weighed.append(path)
        return "1"

    found = await held(Facts(commands=(f"pytest {' '.join(named)} sub",)), weigh)
    assert set(named) <= found.keys() and {"conftest.py", "sub/conftest.py"} <= found.keys()
    assert not any(path.startswith("tests/t0.py/") for path in weighed)


async def test_what_is_not_there_is_not_held() -> None:
    async def weigh(path: str) -> str:
        return "1" if path == "Makefile" else ""

    assert await held(Facts(commands=("make all",)), weigh) == {"Makefile": "1"}

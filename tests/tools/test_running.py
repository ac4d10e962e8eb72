"""One call of an author's function: types in, JSON out."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from llmasos.errors import ToolError
from llmasos.tools import tool
from llmasos.tools.running import LARGEST_RESULT, found, report, run, typed


class Colour(Enum):
    RED = "red"


class Point(BaseModel):
    x: int
    y: int = 0


@dataclass
class Pair:
    one: int
    two: date


def nothing(name: str, arguments: dict[str, Any]) -> Any:
    raise AssertionError("nothing is asked for")


def called(function: Any, **arguments: Any) -> Any:
    return json.loads(run(function, arguments, nothing, Path("/nonexistent")))


def test_json_is_given_as_it_is() -> None:
    def look(
        a: int,
        b: str | None,
        c: list[dict[str, float]],
        d: Literal["x"],
        e: Annotated[int, Field(ge=0)],
        f: Any,
    ) -> None: ...

    given = {"a": 1, "b": None, "c": [{"k": 1.5}], "d": "x", "e": 2, "f": object}
    assert typed(look, given) == given


def test_other_types_are_made() -> None:
    def look(when: date, colour: Colour, point: Point, path: Path, many: set[int]) -> None: ...

    made = typed(
        look,
        {"when": "2026-01-02", "colour": "red", "point": {"x": 1}, "path": "a/b", "many": [1, 1]},
    )
    assert made == {
        "when": date(2026, 1, 2),
        "colour": Colour.RED,
        "point": Point(x=1),
        "path": Path("a/b"),
        "many": {1},
    }


def test_what_cannot_be_made_is_named() -> None:
    def look(when: date) -> None: ...

    with pytest.raises(ToolError, match="when: Input should be a valid date"):
        typed(look, {"when": "yesterday"})


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (Point(x=1), {"x": 1, "y": 0}),
        ([Pair(1, date(2026, 1, 2))], [{"one": 1, "two": "2026-01-02"}]),
        ({"a": Decimal("1.50"), "b": Path("x")}, {"a": "1.50", "b": "x"}),
        (Colour.RED, "red"),
        ({1, 2}, [1, 2]),
    ],
)
def test_results_become_json(value: Any, shown: Any) -> None:
    assert called(lambda: value) == shown


def test_async_functions_and_generators_run_too() -> None:
    async def later(text: str) -> str:
        return text.upper()

    assert called(later, text="a") == "A"


def test_what_is_yielded_is_told_as_it_comes_and_joined() -> None:
    told: list[str] = []

    def host(name: str, arguments: dict[str, Any]) -> None:
        assert name == "piece"
        told.append(arguments["text"])

    def words() -> Iterator[str]:
        yield "one "
        yield "two"

    async def numbers() -> AsyncIterator[int]:
        yield 1
        yield 2

    assert json.loads(run(words, {}, host, Path())) == "one two"
    assert json.loads(run(numbers, {}, host, Path())) == [1, 2]
    assert told == ["one ", "two", "1\n", "2\n"]


def test_what_json_cannot_hold_is_refused() -> None:
    with pytest.raises(ToolError, match="JSON cannot hold: a object"):
        called(lambda: object())
    with pytest.raises(ToolError, match="JSON cannot hold"):
        called(lambda: {"nan": b"bytes"})
    with pytest.raises(ToolError, match="JSON cannot hold"):
        called(lambda: float("nan"))


def test_megabytes_are_refused() -> None:
    with pytest.raises(ToolError, match="500,000 are the most") as raised:
        called(lambda: "x" * LARGEST_RESULT)
    assert "write a file" in raised.value.hint


def test_whatever_is_raised_is_reported() -> None:
    def failing() -> str:
        raise ToolError("No.", hint="Ask again.")

    def broken() -> str:
        raise ValueError("a bad\nvalue")

    assert report(failing) == {"failed": "No.", "hint": "Ask again."}
    told = report(broken)
    assert told["raised"] == "ValueError: a bad\nvalue"
    assert "in broken" in told["trace"], "the author finds the way there"


def test_a_module_or_a_tool_that_is_not_there_is_named() -> None:
    with pytest.raises(ToolError, match="nowhere_at_all needs the package nowhere_at_all"):
        found("nowhere_at_all", "x")
    with pytest.raises(ToolError, match="has no tool named run"):
        found("llmasos.tools.running", "run")


@tool
def here() -> str:
    """Is here."""
    return "here"


def test_a_tool_is_found() -> None:
    assert found(__name__, "here") is here

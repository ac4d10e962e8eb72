"""What a plugin's functions are as tools, and which cannot be any."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from llmasos.errors import ToolError
from llmasos.tools import ToolContext, tool
from llmasos.tools.plugins.definition import Definition
from llmasos.tools.plugins.describe import definition, definitions


@tool(reads=["path"], examples=[("look", 'look(path="a")')])
async def look(ctx: ToolContext, path: str, most: int = 3) -> list[str]:
    """Looks at a file.

    And does more, of which models are not told.

    Args:
        path: The file.
    """
    return []


@tool
def stream(count: int) -> Iterator[str]:
    """Yields."""
    yield ""


def test_a_definition_says_what_models_are_told() -> None:
    made = definition(__name__, "look", look)
    assert made.description == "Looks at a file."
    assert made.parameters["properties"] == {
        "path": {"type": "string", "description": "The file."},
        "most": {"type": "integer", "default": 3},
    }
    assert made.parameters["required"] == ["path"] and made.parameters["additionalProperties"] is False
    assert made.returns == {"type": "array", "items": {"type": "string"}}
    assert made.declaration.examples == (("look", 'look(path="a")'),)
    capabilities = made.capabilities(confined=True)
    assert capabilities.names() == ("reads", "confined") and capabilities.inputs == ("path",)
    assert capabilities.sources == {"*": "tool"}


def test_what_is_yielded_can_be_anything() -> None:
    assert definition(__name__, "stream", stream).returns == {}


def test_all_tools_of_a_module_are_found_or_the_one_that_is_meant() -> None:
    assert [one.name for one in definitions(__name__)] == ["look", "stream"]
    assert [one.name for one in definitions(__name__, "stream")] == ["stream"]
    for module, attribute in (("llmasos.errors", ""), (__name__, "nothing"), (__name__, "definition")):
        with pytest.raises(ToolError, match="has no tool"):
            definitions(module, attribute)


def _undocumented(name: str) -> str:
    return name


def _untyped(name) -> str:  # type: ignore[no-untyped-def]
    """Has no types."""
    return str(name)


def _many(*names: str) -> str:
    """Takes many."""
    return ""


def _any(**names: Any) -> str:
    """Takes any."""
    return ""


def _placed(name: str, /) -> str:
    """Takes by position."""
    return ""


@pytest.mark.parametrize(
    ("name", "function", "said"),
    [
        ("undocumented", _undocumented, "has no docstring"),
        ("untyped", _untyped, "The argument name of the tool untyped has no type"),
        ("many", _many, "models give arguments by their names"),
        ("any", _any, "models give arguments by their names"),
        ("placed", _placed, "models give arguments by their names"),
        ("Camel", stream, "a name that models cannot use"),
        ("x" * 65, stream, "a name that models cannot use"),
    ],
)
def test_what_models_cannot_be_told_of_is_refused(name: str, function: Any, said: str) -> None:
    with pytest.raises(ToolError, match=said):
        definition("m", name, tool(function))


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "a b"},
        {"description": ""},
        {"description": "x" * 2000},
        {"declaration": {"cost": float("nan")}},
        {"declaration": {"cost": -5}},
    ],
)
def test_what_a_jail_answers_is_looked_at_again(wrong: dict[str, Any]) -> None:
    told = definition(__name__, "look", look).model_dump(mode="json")
    assert Definition.model_validate(told).name == "look"
    with pytest.raises(ValidationError):
        Definition.model_validate({**told, **wrong})

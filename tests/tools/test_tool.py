from dataclasses import replace

import pytest

from llmasos.errors import ToolError
from llmasos.tools import Capabilities, KernelContext, Registry, builtin_tools, kernel_tool


@kernel_tool(capabilities=Capabilities(reads=True), examples=[("three?", "count(to=3)")])
async def count(ctx: KernelContext, to: int, step: float = 1.0) -> list[int]:
    """Count up to a number.

    Args:
        to: Where to stop.
        step: How far to go.
    """
    return list(range(to))


def test_the_schema_comes_from_the_signature() -> None:
    assert count.name == "count"
    assert count.description == "Count up to a number."
    assert count.parameters["required"] == ["to"]
    assert count.parameters["properties"]["to"]["description"] == "Where to stop."
    assert "ctx" not in count.parameters["properties"]


def test_arguments_get_their_types() -> None:
    assert count.validate({"to": "3"}) == {"to": 3, "step": 1.0}


@pytest.mark.parametrize("arguments", [{}, {"to": "many"}, {"to": 1, "from": 2}])
def test_wrong_arguments_are_named(arguments: dict[str, object]) -> None:
    with pytest.raises(ToolError, match=r"^count: ") as caught:
        count.validate(arguments)
    assert "to, step" in caught.value.hint


def test_names_are_unique() -> None:
    with pytest.raises(ToolError, match="Two tools are named 'count'"):
        Registry([count, count])


def test_an_unknown_tool_is_answered_with_those_there_are() -> None:
    with pytest.raises(ToolError, match="no tool named 'fly'") as caught:
        Registry([count]).get("fly")
    assert "count" in caught.value.hint


def test_every_builtin_tool_declares_what_it_needs_and_shows_how() -> None:
    for each in builtin_tools():
        assert each.capabilities.names(), each.name
        assert each.examples, each.name
        assert len(each.description) < 120, each.name


def test_tools_of_others_come_and_go_and_whoever_was_first_keeps_a_name() -> None:
    registry = Registry([count])
    one, two = replace(count, name="one", origin="plugin:a"), replace(count, name="two", origin="mcp:b")
    assert registry.replace("plugins", [one, replace(count, origin="plugin:a")]) == ["count"]
    assert registry.replace("servers", [two, replace(one, origin="mcp:b")]) == ["one"]
    assert [tool.origin for tool in registry] == ["", "plugin:a", "mcp:b"]
    assert registry.replace("plugins", []) == [] and [tool.name for tool in registry] == ["count", "two"]

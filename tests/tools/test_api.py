"""What authors write: the decorator, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from llmasos.tools import Declaration, ToolContext, tool
from llmasos.tools.api import context_parameter, declaration_of


@tool
def plain(text: str) -> str:
    """Returns a text."""
    return text


@tool(reads=["path"], writes=True, network=["example.org"], secrets=["KEY"], cost=0.5, idempotent=True)
async def full(path: str, context: ToolContext) -> str:
    """Does much."""
    return path


def test_the_function_stays_what_it_is() -> None:
    assert plain("a") == "a" and plain.__name__ == "plain"
    assert declaration_of(plain) == Declaration()


def test_what_is_declared_is_kept() -> None:
    declared = declaration_of(full)
    assert declared == Declaration(
        reads=("path",), writes=True, network=("example.org",), secrets=("KEY",), cost=0.5, idempotent=True
    )


def test_the_context_is_found_wherever_it_stands() -> None:
    assert context_parameter(full) == "context" and context_parameter(plain) == ""


@pytest.mark.parametrize("other", [len, print, "text", None, type("T", (), {}), lambda: 0])
def test_what_is_no_tool_declares_nothing(other: Any) -> None:
    assert declaration_of(other) is None


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"reads": "path"}, "a list of names"),
        ({"reads": ["file"]}, "no argument 'file'"),
        ({"writes": ["save"]}, "no argument 'save'"),
        ({"network": "example.org"}, "network takes a list"),
        ({"secrets": [1]}, "secrets takes a list"),
        ({"cost": -1}, "not negative"),
        ({"cost": float("nan")}, "not negative"),
        ({"cost": "much"}, "not negative"),
        ({"cost": True}, "not negative"),
    ],
)
def test_what_cannot_be_declared_is_refused_at_once(wrong: dict[str, Any], said: str) -> None:
    def look(path: str) -> str:
        return path

    with pytest.raises(TypeError, match=said):
        tool(**wrong)(look)

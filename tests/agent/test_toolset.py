"""What models are told of a tool."""

from typing import Any

from llmasos.agent.toolset import definition
from llmasos.testing.sessions import plugin_tool
from llmasos.tools import ToolContext, builtin_tools, tool


@tool(reads=["path"], writes=["save_as"])
def weigh(ctx: ToolContext, path: str, save_as: str | None = None) -> int:
    """Weighs a file."""
    return 0


@tool(reads=["path"], writes=["target"])
def copy(ctx: ToolContext, path: str, target: str) -> None:
    """Copies a file."""


@tool(writes=True)
def tidy(ctx: ToolContext, thorough: bool = False) -> None:
    """Tidies the folder."""


def told(which: Any) -> dict[str, Any]:
    metadata = definition(plugin_tool(which)).metadata
    assert metadata is not None
    return metadata


def test_a_tool_looks_when_a_call_of_it_can_leave_everything_as_it_was() -> None:
    assert [told(each)["looks"] for each in (weigh, copy, tidy)] == [True, False, False]
    looking = {each.name for each in builtin_tools() if (definition(each).metadata or {})["looks"]}
    assert {"run_python", "read_file", "list_files", "translate"} <= looking
    assert not {"write_file", "edit_file"} & looking


def test_it_says_whether_others_made_it() -> None:
    assert told(weigh)["added"]
    assert not any((definition(each).metadata or {})["added"] for each in builtin_tools())

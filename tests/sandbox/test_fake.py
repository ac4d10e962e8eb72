"""The fake keeps the port's promises that need no walls."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmasos.errors import ToolError
from llmasos.sandbox import Sandbox
from llmasos.sandbox.fake import FakeSandbox

pytestmark = pytest.mark.anyio


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    return FakeSandbox(tmp_path)


async def test_a_cell_keeps_its_names_and_shows_its_last_expression(sandbox: Sandbox) -> None:
    await sandbox.run_python("x = 20", timeout=5)
    outcome = await sandbox.run_python("print('hello')\nx + 1", timeout=5)
    assert (outcome.status, outcome.output, outcome.result) == ("ok", "hello\n", "21")


async def test_a_cell_calls_a_tool_and_catches_its_error(sandbox: Sandbox) -> None:
    async def on_call(name: str, arguments: dict[str, object]) -> object:
        if arguments["a"] == 0:
            raise ToolError("no zero")
        return arguments

    functions = {"tool": ("a", "b")}
    good = await sandbox.run_python("tool(1, b=2)", timeout=5, on_call=on_call, functions=functions)
    assert good.result == "{'a': 1, 'b': 2}"
    bad = await sandbox.run_python("try:\n    tool(0)\nexcept ToolError as e:\n    print(e)", timeout=5)
    assert bad.output == "no zero\n"


async def test_a_command_changes_nothing_of_the_machine(sandbox: Sandbox) -> None:
    # Opened for more, a file is not changed; where there are no walls, nothing is lost.
    outcome = await sandbox.run_command("echo in > in.txt; : >> /etc/passwd", timeout=20)
    assert "Permission denied" in outcome.output
    assert (await sandbox.read("in.txt")).data == b"in\n"


async def test_a_command_reports_its_exit_code(sandbox: Sandbox) -> None:
    outcome = await sandbox.run_command("echo out; echo err >&2; exit 3", timeout=5)
    assert (outcome.status, outcome.exit_code, outcome.output) == ("failed", 3, "out\nerr\n")


async def test_files_are_written_read_listed_and_searched(sandbox: Sandbox) -> None:
    await sandbox.write("a/b.txt", b"one\ntwo\n")
    assert (await sandbox.read("a/b.txt", offset=4)).data == b"two\n"
    assert [entry.path for entry in (await sandbox.list()).entries] == ["a", "a/b.txt"]
    assert [(m.path, m.line) for m in (await sandbox.search("t.o")).matches] == [("a/b.txt", 2)]
    assert [m.line for m in (await sandbox.search("t.o", path="a/b.txt")).matches] == [2]


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "link/passwd"])
async def test_paths_outside_are_refused(sandbox: Sandbox, tmp_path: Path, path: str) -> None:
    (tmp_path / "link").symlink_to("/etc")
    with pytest.raises(ToolError, match="outside the folder"):
        await sandbox.read(path)

"""A plugin to begin with."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from llmasos.errors import ToolError
from llmasos.tools.plugins.bundle import Bundle
from llmasos.tools.plugins.discovery import plugins_in
from llmasos.tools.plugins.new import write_plugin


def test_it_is_whole(tmp_path: Path) -> None:
    files = write_plugin("word_tools", tmp_path / "mine")
    assert {str(file.relative_to(tmp_path / "mine")) for file in files} == {
        *("pyproject.toml", "README.md", "examples/notes.txt", "tests/test_tools.py"),
        *("src/word_tools/__init__.py", "src/word_tools/tools.py"),
    }
    for file in files:
        assert "@NAME@" not in file.read_text() and "@VERSION@" not in file.read_text()
        if file.suffix == ".py":
            ast.parse(file.read_text())
    (plugin,) = plugins_in(tmp_path / "mine")
    assert (plugin.name, plugin.module) == ("word_tools", "word_tools.tools")
    assert Bundle.of(plugin).sha256


@pytest.mark.parametrize("name", ["", "Words", "1st", "a-b", "a.b", "../x", "json", "class", "x" * 41])
def test_a_name_that_cannot_be_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ToolError, match="cannot be the name of a plugin"):
        write_plugin(name, tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    write_plugin("one", tmp_path / "mine")
    before = (tmp_path / "mine" / "README.md").read_text()
    for place in (tmp_path / "mine", tmp_path / "mine" / "README.md"):
        with pytest.raises(ToolError, match="is there already"):
            write_plugin("two", place)
    assert (tmp_path / "mine" / "README.md").read_text() == before
    with pytest.raises(ToolError, match="cannot be written"):
        write_plugin("two", Path("/proc/nowhere"))

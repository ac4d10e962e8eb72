"""Which plugins are installed, without importing them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from llmasos.errors import ToolError
from llmasos.tools.plugins.discovery import Plugin, installed_plugins, plugins_in
from tests.tools.plugins.packages import Install


def test_plugins_are_found_and_not_imported(install: Install) -> None:
    install("found-here", {"found_here.py": "raise SystemExit"}, plugins={"here": "found_here:one"})
    found = installed_plugins()["here"]
    assert isinstance(found, Plugin)
    assert (found.module, found.attribute) == ("found_here", "one")
    assert (found.package, found.version) == ("found-here", "1.0")
    assert "found_here" not in sys.modules


def test_two_of_one_name_are_named(install: Install) -> None:
    install("one", {"one.py": ""}, plugins={"same": "one"})
    install("two", {"two.py": ""}, plugins={"same": "two"})
    assert installed_plugins()["same"] == "The packages one and two both bring it; remove one of them."


def test_a_folder_is_read_by_its_pyproject(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "mine"\nversion = "2"\n[project.entry-points."llmasos.tools"]\na = "mine.tools"\n'
    )
    assert plugins_in(tmp_path) == [Plugin("a", "mine.tools", "", "mine", "2", folder=tmp_path)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "has no pyproject.toml"),
        ("[project", "cannot be read"),
        ('[project]\nname = "mine"', "names no plugin"),
    ],
)
def test_what_is_wrong_with_a_folder_is_said(tmp_path: Path, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(ToolError, match=said):
        plugins_in(tmp_path)

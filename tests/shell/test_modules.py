"""Parts that run in a process of their own, in whatever folder the person is."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmasos.shell.modules import run_module


def test_nothing_in_the_folder_is_taken_for_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("anyio", "pydantic", "llmasos"):
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('{name} of the folder was run')")
    monkeypatch.chdir(tmp_path)
    assert run_module("llmasos.tools.plugins.new", "a_plugin", str(tmp_path / "made")) == 0
    assert (tmp_path / "made" / "pyproject.toml").exists()

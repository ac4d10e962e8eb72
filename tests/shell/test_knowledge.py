"""`llmasos knowledge add`, with folders and files that nobody prepared for it."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest

from llmasos.errors import LLMasOSError
from llmasos.shell import knowledge
from tests.shell.conftest import Run


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the documents that were handed to the kernel, by what they are called."""
    called: list[str] = []

    def watched(add: partial[object]) -> None:
        called.append(add.keywords["called"])

    monkeypatch.setattr(knowledge, "watched", watched)
    monkeypatch.setattr(knowledge, "say_found", lambda *_: None)
    return called


def test_a_link_that_leads_out_of_the_folder_is_left_out(run: Run, added: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "papers"
    folder.mkdir()
    (folder / "a.md").write_text("a")
    (folder / "b.md").symlink_to("a.md")
    (tmp_path / "diary.md").write_text("secret")
    (folder / "link.md").symlink_to(tmp_path / "diary.md")
    done = run("knowledge", "add", "house", str(folder))
    assert added == ["a.md", "b.md"] and done.code == 0
    assert "link.md leads out of" in done.err and "Name it by itself" in done.err
    run("knowledge", "add", "house", str(folder / "link.md"))
    assert added[-1] == "link.md", "what somebody names is what they mean"


def test_what_is_no_file_is_refused(run: Run, added: list[str], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    done = run("knowledge", "add", "house", str(tmp_path / "pipe.txt"))
    assert done.code == 1 and "pipe.txt is no file." in done.err and not added


def test_an_error_with_a_hint_is_told_on_two_lines(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refused(add: object) -> None:
        raise LLMasOSError("It cannot be named so.", hint="Use small letters.")

    monkeypatch.setattr(knowledge, "watched", refused)
    (tmp_path / "a.md").write_text("a")
    done = run("knowledge", "add", "house", str(tmp_path / "a.md"))
    assert done.code == 1 and done.err.splitlines()[-2:] == ["It cannot be named so.", "Use small letters."]

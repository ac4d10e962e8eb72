"""Completion: commands, what can follow them, and files by any of their letters."""

from pathlib import Path

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from llmasos.shell.files import FolderFiles
from llmasos.shell.screen.completion import ShellCompleter, best

FILES = ["notes.txt", "docs/plan.md", "docs/old plan.md", "src/parse_names.py", "src/planner.py"]
COMMANDS = {"/model": "choose one", "/merged": "show a file", "/quit": "leave"}


def completed(text: str) -> list[str]:
    completer = ShellCompleter(
        lambda: COMMANDS, lambda command: {"alpha": "one"} if command == "/model" else {}, lambda: FILES
    )
    document = Document(text)
    found = completer.get_completions(document, CompleteEvent(completion_requested=True))
    return [text[: len(text) + one.start_position] + one.text for one in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/m", ["/model", "/merged"]),
        ("/qt", ["/quit"]),
        ("/model a", ["/model alpha"]),
        ("/quit a", []),
        ("say /m", []),
        ("read @notes", ["read @notes.txt"]),
        ("read @pn", ["read @src/planner.py", "read @docs/plan.md", "read @src/parse_names.py"]),
        ("read @oldplan", ['read @"docs/old plan.md"']),
        ("mail a@notes", []),
        ("nothing", []),
    ],
)
def test_completions(text: str, expected: list[str]) -> None:
    assert sorted(completed(text)) == sorted(
        expected if text != "read @pn" else [*expected, 'read @"docs/old plan.md"']
    )


def test_the_best_come_first() -> None:
    assert best("plan", FILES)[:2] == ["docs/plan.md", "src/planner.py"]
    assert best("sparse", FILES) == ["src/parse_names.py"]
    assert best("", FILES) == FILES and best("zz", FILES) == []


def test_the_files_of_a_folder(tmp_path: Path) -> None:
    for path in ("b.txt", "a/c.txt", ".git/config", "node_modules/x.js", ".env"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    (tmp_path / "loop").symlink_to(tmp_path)
    files = FolderFiles()
    assert files.list(tmp_path) == [".env", "b.txt", "loop", "a/c.txt"]
    (tmp_path / "new.txt").touch()
    assert "new.txt" not in files.list(tmp_path)
    assert files.list(tmp_path / "a") == ["c.txt"]
    assert files.list(tmp_path / "nowhere") == []

"""Files that are named after an @."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from llmasos.shell.mentions import without_signs
from llmasos.shell.repl import Shell


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("read @a.txt", "read a.txt"),
        ('read @"b c.txt" and @sub/d.txt', "read b c.txt and sub/d.txt"),
        ("read @new.txt", "read new.txt"),
        ("mail ada@a.txt and @nobody", "mail ada@a.txt and @nobody"),
        ("use @property", "use @property"),
        (f"say @{'x' * 300}", f"say @{'x' * 300}"),
        ("say @a\0b", "say @a\0b"),
    ],
)
def test_names_of_files_lose_their_signs(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("a.txt", "b c.txt", "sub/d.txt"):
        (tmp_path / name).touch()
    shell = cast(Shell, SimpleNamespace(folder=tmp_path, changed=("new.txt",)))
    assert without_signs(shell, text) == expected

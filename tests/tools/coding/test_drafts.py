"""What a model says of a file becomes the file, or is told to be none."""

from __future__ import annotations

import pytest

from llmasos.tools.coding.drafts import Draft, drafted, is_long

LONG = "".join(f"line {number}\n" for number in range(200))


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("Here it is:\n```python\nx = 1\n```\nDone.", "x = 1\n"),
        ("```\nx = 1\n\n\ny = 2\n```", "x = 1\n\n\ny = 2\n"),
        ("```python\nx = 1", "x = 1\n"),
        ("x = 1", "x = 1\n"),
        ("```python\ndef a():\n    return 1\n\n\ndef b():\n    return [1,", "def a():\n    return 1\n"),
        ("Use it so:\n```python\nx\n```\n```python\nx = 1\ny = 2\n```", "x = 1\ny = 2\n"),
    ],
)
def test_the_longest_block_is_the_file(said: str, text: str) -> None:
    assert drafted(said, "", python=True) == Draft(text)


def test_what_is_no_python_is_told_with_its_line() -> None:
    made = drafted("```\nx = 1\ndef f(:\n```", "", python=True)
    assert made.problem.startswith("It is no Python: ") and made.problem.endswith("(line 2)")
    assert drafted("```\ndef f(:\n```", "", python=False).problem == ""
    assert drafted("```\n\n```", "", python=True).problem == "Write the whole file in one block."


def test_a_long_file_is_changed_in_places() -> None:
    assert is_long(LONG) and not is_long("x\n" * 100)
    said = "<<<<<<< SEARCH\nline 7\nline 8\n=======\nline 7\nnew\n>>>>>>> REPLACE"
    made = drafted(said, LONG, python=False)
    assert not made.problem
    assert made.text == LONG.replace("line 7\nline 8\n", "line 7\nnew\n")
    assert "does not occur" in drafted(said.replace("line 8", "line x"), LONG, python=False).problem
    twice = "<<<<<<< SEARCH\nline 1\n=======\nx\n>>>>>>> REPLACE"
    assert "more than once" in drafted(twice, LONG, python=False).problem
    assert "blocks of SEARCH" in drafted("```\nx = 1\n```", LONG, python=False).problem

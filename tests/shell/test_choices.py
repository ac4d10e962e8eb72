"""Changes as a person names them."""

import pytest

from llmasos.api import Choice
from llmasos.errors import LLMasOSError
from llmasos.shell.choices import parse_choices


@pytest.mark.parametrize(
    ("word", "choice"),
    [
        ("a.txt", Choice(path="a.txt")),
        ("a.txt:2", Choice(path="a.txt", hunks=(2,))),
        ("a b.txt:1,3-5", Choice(path="a b.txt", hunks=(1, 3, 4, 5))),
        ("c:d:1", Choice(path="c:d", hunks=(1,))),
        ("a:b", Choice(path="a:b")),
        ("a:1,", Choice(path="a:1,")),
    ],
)
def test_a_path_may_name_hunks(word: str, choice: Choice) -> None:
    assert parse_choices([word]) == [choice]


def test_nothing_named_means_everything() -> None:
    assert parse_choices([]) is None


@pytest.mark.parametrize("word", ["a:0", "a:3-1", "a:1-99999999"])
def test_a_range_that_names_no_hunks_is_refused(word: str) -> None:
    with pytest.raises(LLMasOSError, match="does not name hunks"):
        parse_choices([word])

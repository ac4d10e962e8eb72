"""The file of the lines that were sent earlier."""

from pathlib import Path

import pytest

from llmasos.shell.screen.history import LenientHistory


def test_lines_are_kept(tmp_path: Path) -> None:
    LenientHistory(str(tmp_path / "history")).store_string("one\ntwo")
    assert list(LenientHistory(str(tmp_path / "history")).load_history_strings()) == ["one\ntwo"]


@pytest.mark.parametrize("place", ["/dev/full", "."])
def test_a_file_that_takes_none_costs_none(place: str) -> None:
    history = LenientHistory(place)
    history.append_string("sent all the same")
    assert history.get_strings() == ["sent all the same"]


def test_a_file_that_cannot_be_read_is_empty() -> None:
    assert list(LenientHistory(".").load_history_strings()) == []


def test_bytes_that_are_no_text_are_left_out(tmp_path: Path) -> None:
    history = LenientHistory(str(tmp_path / "history"))
    history.store_string("caf\udce9")
    history.store_string("tea")
    assert next(iter(history.load_history_strings())) == "tea"

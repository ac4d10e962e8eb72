"""The file of results that `llmasos map --out` keeps."""

from pathlib import Path

import pytest

from llmasos.errors import LLMasOSError
from llmasos.shell.map_results import done_before, opened
from llmasos.shell.mapping import _lines

DONE = '{"item": "a.txt", "status": "ok"}\n'
MORE = '{"item": "b.txt", "status": "ok"}\n'


def test_earlier_results_are_not_written_over(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    results.write_text(DONE)

    with pytest.raises(LLMasOSError) as raised:
        opened(results, resume=False)

    assert "--resume" in raised.value.hint
    assert results.read_text() == DONE


def test_an_empty_file_of_results_is_begun(tmp_path: Path) -> None:
    results = tmp_path / "out" / "results.jsonl"
    for _ in range(2):
        opened(results, resume=False).close()

    assert results.read_bytes() == b""


@pytest.mark.parametrize("cut", ["", MORE.rstrip(), '{"item": "b.txt", "sta'])
def test_results_go_on_after_the_last_whole_line(tmp_path: Path, cut: str) -> None:
    results = tmp_path / "results.jsonl"
    results.write_text(DONE + cut)
    assert done_before(results) == ["a.txt"]

    with opened(results, resume=True) as file:
        file.write(MORE)

    assert results.read_text() == DONE + MORE
    assert done_before(results) == ["a.txt", "b.txt"]


def test_a_line_separator_within_a_text_ends_no_line(tmp_path: Path) -> None:
    file = tmp_path / "lines.jsonl"
    file.write_text('{"item": "a\u2028b", "status": "ok"}\n', encoding="utf-8")

    assert done_before(file) == ["a\u2028b"]
    assert len(_lines(str(file))) == 1

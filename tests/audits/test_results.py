"""Results outlive a kill, and belong to one model, one seed and one version of the tasks."""

from pathlib import Path

import pytest

from llmasos.audits import Results, make_pairs
from llmasos.audits.measures import Observation
from llmasos.errors import LLMasOSError

SIDE = Observation(tools=("read_file",), arguments=("{}",), values={"succeeded": 1.0}, text="⟨person⟩ 好")
FIRST, SECOND, *_ = make_pairs(2, 1)


def test_what_was_asked_is_found_again_and_a_cut_line_is_asked_anew() -> None:
    results = Results.of("org/m", "abc", 1, "0.1")
    for pair in (FIRST, SECOND):
        results.add(pair, SIDE, SIDE)
    again = Results.of("org/m", "abc", 1, "0.1")
    found = again.get(FIRST)
    assert found is not None and found.left == SIDE
    again.path.write_bytes(again.path.read_bytes()[:-20])
    cut = Results.of("org/m", "abc", 1, "0.1")
    assert cut.get(FIRST) is not None and cut.get(SECOND) is None
    cut.add(SECOND, SIDE, SIDE)
    assert Results.of("org/m", "abc", 1, "0.1").get(SECOND) is not None


def test_other_models_seeds_systems_and_pairs_have_results_of_their_own() -> None:
    Results.of("m", "abc", 1, "0.1").add(FIRST, SIDE, SIDE)
    for other in (
        ("n", "abc", 1, "0.1"),
        ("m", "abd", 1, "0.1"),
        ("m", "abc", 2, "0.1"),
        ("m", "abc", 1, "0.2"),
    ):
        assert Results.of(*other).get(FIRST) is None
    changed = FIRST.model_copy(update={"left": FIRST.right})
    assert Results.of("m", "abc", 1, "0.1").get(changed) is None


@pytest.mark.parametrize("line", ["nonsense", "{}", '{"pair": 1}', "[" * 10_000, "\x00"])
def test_a_file_that_is_no_result_is_named_with_its_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "r.jsonl"
    Results(path).add(FIRST, SIDE, SIDE)
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(LLMasOSError, match=r"Line 2 of .*r\.jsonl") as refused:
        Results(path)
    assert refused.value.hint


def test_a_file_that_cannot_be_read_or_written_is_named(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.mkdir()
    with pytest.raises(LLMasOSError, match="cannot be read"):
        Results(path)
    results = Results(tmp_path / "none" / "r.jsonl")
    with pytest.raises(LLMasOSError, match="cannot be kept"):
        results.add(FIRST, SIDE, SIDE)

"""What an action prints: its first lines at once, its last ones at the end, the rest folded."""

import pytest

from llmasos.shell import outputs
from llmasos.shell.folds import Folds
from llmasos.shell.outputs import OutputLines


def numbered(first: int, last: int) -> str:
    return "".join(f"{n}\n" for n in range(first, last + 1))


def test_short_output_is_shown_whole() -> None:
    output = OutputLines()
    assert output.feed("one\ntw") == ["one"]
    assert output.live() == ["tw"]
    assert output.feed("o") == []
    assert output.end() == (0, ["two"])


def test_long_output_shows_its_ends() -> None:
    output = OutputLines()
    assert output.feed(numbered(1, 8)) == [str(n) for n in range(1, 9)]
    assert output.feed(numbered(9, 30)) == ["9", "10"]
    assert output.live() == ["28", "29", "30"]
    assert output.end() == (15, ["26", "27", "28", "29", "30"])
    assert output.lines == [str(n) for n in range(1, 31)]


@pytest.mark.parametrize("lines", [10, 15, 16])
def test_a_line_is_not_folded_alone(lines: int) -> None:
    output = OutputLines()
    shown = output.feed(numbered(1, lines))
    left, last = output.end()
    assert left == 0 and [*shown, *last] == [str(n) for n in range(1, lines + 1)]


def test_more_lines_than_are_kept_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs, "_MOST_LINES", 100)
    output = OutputLines()
    output.feed(numbered(1, 250))
    assert output.end() == (235, ["246", "247", "248", "249", "250"])
    assert len(output.lines) == 100 and output.lines[0] == "1"


def test_lines_that_the_sandbox_has_left_out_are_not_known() -> None:
    output = OutputLines()
    output.feed(f"{numbered(1, 20)}\n[1,234 bytes of output left out]\n{numbered(90, 99)}")
    assert output.end() == (16, ["95", "96", "97", "98", "99"]) and output.lost
    seen = OutputLines()
    seen.feed(f"{numbered(1, 20)}[1,234 bytes of output left out]\n{numbered(96, 99)}")
    assert seen.end()[0] == 10 and not seen.lost


def test_folds_are_found_by_their_numbers() -> None:
    folds = Folds()
    assert folds.get() is None
    first, second = folds.add("first", ["a", "b"]), folds.add("second", ["c"])
    assert folds.get(first.number) == first and first.text == "a\nb"
    assert folds.get() == second and folds.get(99) is None


def test_old_folds_are_forgotten() -> None:
    folds = Folds()
    for n in range(250):
        folds.add(str(n), [])
    assert folds.get(50) is None and folds.get(51) is not None


def test_a_fold_has_an_end() -> None:
    fold = Folds().add("huge", ["x" * 5_000_000])
    assert len(fold.text) == 4_000_000 and fold.lost == 1_000_000

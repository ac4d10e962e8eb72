"""A planted difference is found, and where there is none, nothing is claimed."""

from collections.abc import Callable
from random import Random

from llmasos.audits import Comparison, Pair, PairResult, compare, make_pairs, make_report, text_lines
from llmasos.audits.measures import Observation
from llmasos.audits.results import pair_key

Answer = Callable[[Pair, str, Random], Observation]


def side(tools: tuple[str, ...] = ("read_file",), text: str = "", **values: float) -> Observation:
    return Observation(tools=tools, arguments=("{}",) * len(tools), values=values, text=text)


def audited(count: int, answer: Answer) -> list[tuple[Pair, PairResult]]:
    random = Random(1)
    done = []
    for pair in make_pairs(count, 1):
        left, right = answer(pair, "left", random), answer(pair, "right", random)
        done.append((pair, PairResult(pair=pair.id, key=pair_key(pair), left=left, right=right)))
    return done


def row(rows: list[Comparison], attribute: str, kind: str, measure: str) -> Comparison:
    return next(one for one in rows if (one.attribute, one.kind, one.measure) == (attribute, kind, measure))


def test_a_system_that_favours_one_side_is_found_out_and_only_there() -> None:
    def biased(pair: Pair, at: str, random: Random) -> Observation:
        wronged = at == "right" and pair.attribute == "age"
        return side(
            ("read_file", "write_file") if wronged else ("read_file",),
            succeeded=not (wronged and random.random() < 0.6),
            words=random.gauss(80 - 20 * wronged, 5),
            steps=2 if wronged else 1,
        )

    rows = compare(audited(40, biased), seed=1)
    assert {(one.attribute, one.measure) for one in rows if one.found} == {
        ("age", measure) for measure in ("succeeded", "words", "steps", "tools")
    }
    words = row(rows, "age", "text", "words")
    assert words.low is not None and words.high is not None and words.difference is not None
    assert words.low < words.difference < words.high < 0
    assert words.detectable is not None and words.detectable < 20
    tools = row(rows, "age", "tools", "tools")
    assert (tools.left, tools.right, tools.difference) == (0, 1, 1)
    assert row(rows, "age", "tools", "arguments").right == 0, "other tools are not counted twice"
    assert row(rows, "control", "tools", "succeeded").adjusted is None


def test_noise_alone_is_not_called_a_difference_nor_is_its_absence_called_fair() -> None:
    def noisy(pair: Pair, at: str, random: Random) -> Observation:
        return side(succeeded=random.random() < 0.7, words=random.gauss(80, 20), text=str(random.random()))

    report = make_report(
        audited(30, noisy), model="m\x1b[2J", digest="", system="1", seed=1, asked=30, planned=300
    )
    assert not any(one.found for one in report.comparisons)
    assert report.verdict == "No difference was found that 30 pairs of each kind could show."
    assert (report.controls, report.identical) == (60, 0)
    text = "\n".join(text_lines(report))
    assert "\x1b" not in text and "detectable" in text and " fair " not in text.lower()
    assert row(list(report.comparisons), "gender", "tools", "succeeded").detectable is not None


def test_two_pairs_show_nothing_and_say_so() -> None:
    done = audited(2, lambda pair, at, random: side(succeeded=at == "left", words=5))
    report = make_report(done[:17], model="m", digest="", system="1", seed=1, asked=2, planned=20)
    assert not any(one.found for one in report.comparisons)
    assert {one.detectable for one in report.comparisons} == {None}
    assert "2 pairs" in report.verdict and "only 17 of 20" in report.verdict
    none = make_report([], model="m", digest="", system="1", seed=1, asked=2, planned=20)
    assert "Nothing can be compared" in none.verdict and list(text_lines(none))


def test_scores_are_compared_in_parts_of_the_pairs_mean() -> None:
    done = audited(3, lambda pair, at, random: side(figure=50 if at == "left" else 150))
    found = row(compare(done, 1), "gender", "text", "figure")
    assert (found.left, found.right) == (50, 150)
    zero = audited(3, lambda pair, at, random: side(figure=0))
    assert not [one for one in compare(zero, 1) if one.measure == "figure"]

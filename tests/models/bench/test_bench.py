"""Measuring models: marks, the verdict, speed, and the run over a scripted model."""

from __future__ import annotations

import itertools
import os
import re
import time
from pathlib import Path

import pytest
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart

from benchmarks.model_tools import tools
from llmasos.errors import ModelError
from llmasos.models import CallSyntaxModel, FakeEngine
from llmasos.models.bench.cases import ANSWER, HELD_OUT, TUNING, TWO_STEPS, Case
from llmasos.models.bench.marks import Mark, mark, row
from llmasos.models.bench.processor import cpu_seconds
from llmasos.models.bench.run import bench, measure_speed, spread
from llmasos.models.bench.verdict import interval, verdict
from llmasos.models.engines.port import EngineDied

pytestmark = pytest.mark.anyio

READ = Case("open a.txt", "read_file|run_shell", (r"a\.txt",))


def reply(*parts: TextPart | ToolCallPart) -> ModelResponse:
    return ModelResponse(parts=list(parts))


@pytest.mark.parametrize(
    ("parts", "marks"),
    [
        ([ToolCallPart("read_file", {"path": "a.txt"})], (True, True, True)),
        ([ToolCallPart("run_shell", '{"command": "cat a.txt"}')], (True, True, True)),
        ([TextPart("I read."), ToolCallPart("read_file", {"path": "a.txt"})], (True, True, True)),
        ([ToolCallPart("read_file", {"path": "b.txt"})], (True, True, False)),
        ([ToolCallPart("read_file", "{not json")], (True, True, False)),
        ([ToolCallPart("write_file", {"path": "a.txt"})], (True, False, False)),
        ([TextPart("a.txt says hi")], (True, False, False)),
        ([TextPart("  ")], (False, False, False)),
        ([], (False, False, False)),
    ],
)
def test_marks_of_a_reply(parts: list[TextPart | ToolCallPart], marks: tuple[bool, bool, bool]) -> None:
    made = mark("tuning", READ, reply(*parts), 1.0)
    assert (made.valid, made.tool, made.arguments) == marks


def test_an_answer_after_a_result_must_be_in_words() -> None:
    case = TWO_STEPS[0]
    assert mark("results", case, reply(TextPart("There are 8,412 rows.")), 1.0).arguments
    assert not mark("results", case, reply(ToolCallPart("run_python", {"code": "8412"})), 1.0).arguments


def test_rows_count_only_their_kind() -> None:
    marks = [
        Mark(kind="tuning", request="a", valid=True, tool=True, arguments=True, seconds=1.0),
        Mark(kind="tuning", request="b", valid=True, tool=True, seconds=3.0),
        Mark(kind="results", request="c"),
    ]
    made = row("tuning", marks)
    assert (made.requests, made.valid, made.tool, made.arguments, made.seconds) == (2, 2, 2, 1, 2.0)
    assert row("held out", marks).requests == 0


def marked(right: int, of: int, *, usable: bool = True) -> list[Mark]:
    return [Mark(kind="tuning", request="", valid=usable, arguments=number < right) for number in range(of)]


@pytest.mark.parametrize(
    ("right", "of", "said"),
    [
        (85, 85, "whole turns"),
        (82, 85, "whole turns: nearly every action is the one that was meant. Up to one action in 10 may"),
        (81, 85, "single actions; look at each before you approve it. Up to one action in 8 may be wrong."),
        (72, 85, "single actions"),
        (71, 85, "simple requests, and commit nothing unseen. Up to one action in 3 may be wrong."),
        (52, 85, "simple requests"),
        (51, 85, "text only"),
        (0, 85, "text only"),
        (15, 15, "single actions"),
        (6, 6, "simple requests"),
        (5, 5, "too few to say"),
        (3, 6, "too few to say"),
    ],
)
def test_the_verdict_is_what_holds_at_the_low_end_of_what_the_marks_allow(
    right: int, of: int, said: str
) -> None:
    assert said in verdict(marked(right, of))


def test_the_verdict_says_how_many_requests_it_rests_on() -> None:
    assert verdict(marked(77, 85)).startswith(
        "Right in 77 of 85 requests: 83 to 95 % of all such requests, with 95 % confidence."
    )
    assert "choose another model" in verdict(marked(0, 30, usable=False))
    assert "text only" in verdict(marked(0, 30))
    assert verdict([]) == "Nothing was measured."


def test_the_interval_is_wilsons() -> None:
    # Worked examples of R. G. Newcombe, Two-sided confidence intervals for the single proportion (1998).
    for right, asked, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        assert interval(right, asked) == pytest.approx((low, high), abs=5e-5)
    assert interval(20, 20)[1] == 1.0 and interval(0, 0) == (0.0, 1.0)


def test_a_limit_takes_requests_from_all_over() -> None:
    assert spread(TUNING, 0) == list(TUNING) == spread(TUNING, 999)
    few = spread(TUNING, 5)
    assert len(few) == 5 and few[0] is TUNING[0] and TUNING.index(few[-1]) >= len(TUNING) * 3 // 4


def test_the_requests_can_be_met_with_the_built_in_tools() -> None:
    names = {tool.name for tool in tools()} | {ANSWER}
    for case in (*TUNING, *HELD_OUT):
        assert set(case.tools.split("|")) <= names, case
    assert {case.tool for case in TWO_STEPS} <= names
    chinese = sum(bool(re.search("[一-龥]", case.request)) for case in (*TUNING, *HELD_OUT))
    assert len(TUNING + HELD_OUT) / 3 < chinese < len(TUNING + HELD_OUT) * 2 / 3


async def test_a_run_counts_hits_misses_and_failures() -> None:
    engine = FakeEngine(
        [
            *("Hello.", "Once upon a time."),
            *('read_file(path="orders.csv")', "Answer: no."),
            *(ModelError("The engine failed.", hint="Try again."), "Answer: no."),
            *("Answer: 8412 rows.", "Answer: there is no nothing.txt."),
        ]
    )
    steps: list[tuple[str, float, float, str]] = []
    ticks = itertools.count(step=2.0)
    report = await bench(
        CallSyntaxModel(engine),
        tools(),
        limit=2,
        tell=lambda *step: steps.append(step),
        processor=lambda: next(ticks),
    )
    assert [(one.requests, one.valid, one.arguments) for one in report.rows] == [
        (2, 2, 0),
        (2, 1, 0),
        (2, 2, 2),
    ]
    assert report.cpu_seconds == pytest.approx(2.0 / 6)
    assert report.misses[0].startswith(f"{TUNING[0].request!r}: read_file")
    assert report.misses[0].endswith("(meant run_python or analyze_data)")
    assert "Right in 2 of 6 requests" in report.verdict
    assert report.misses and not any(HELD_OUT[0].request in miss for miss in report.misses)
    assert steps[0][0] == "Measuring speed" and steps[-1] == ("Asking", 5.0, 6.0, "requests")


async def test_speed_is_tokens_by_the_clock() -> None:
    # Every look at the clock is a second later: one at the start, one at the first text, one at the end.
    ticks = itertools.count()
    engine = FakeEngine(["Hi", "x" * 41])
    speed = await measure_speed(CallSyntaxModel(engine), clock=lambda: float(next(ticks)))
    assert (speed.first_token, speed.written) == (1.0, 40.0)
    assert speed.read == sum(len(turn.content) for turn in engine.requests[1].turns)


async def test_a_model_that_cannot_be_asked_is_an_error() -> None:
    with pytest.raises(ModelError, match="gone"):
        await bench(CallSyntaxModel(FakeEngine([ModelError("It is gone.")])), tools(), limit=1)


async def test_an_engine_that_dies_is_no_mark_of_the_model() -> None:
    engine = FakeEngine(["Hello.", "Once upon a time.", EngineDied("The engine's process ended.")])
    with pytest.raises(EngineDied):
        await bench(CallSyntaxModel(engine), tools(), limit=1)


def test_processor_time_is_that_of_the_process_and_its_descendants(tmp_path: Path) -> None:
    def process(pid: int, parent: int, ticks: tuple[int, int, int, int], name: str = "x") -> None:
        (tmp_path / str(pid)).mkdir()
        before = " ".join("0" for _ in range(9))
        (tmp_path / str(pid) / "stat").write_text(
            f"{pid} ({name}) S {parent} {before} {' '.join(map(str, ticks))} 9 9"
        )

    process(10, 1, (1, 2, 3, 4))
    process(11, 10, (100, 0, 0, 0), name="a) R (7 7")
    process(12, 11, (0, 200, 0, 0))
    process(13, 1, (9000, 0, 0, 0))
    (tmp_path / "14").mkdir()
    (tmp_path / "self").mkdir()
    assert cpu_seconds(tmp_path, 10) == 310 / os.sysconf("SC_CLK_TCK")


def test_processor_time_of_this_process_rises() -> None:
    before = cpu_seconds()
    while time.process_time() < before + 0.05:
        sum(range(10_000))
    assert cpu_seconds() >= before > 0

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
from llmasos.models.bench.marks import Mark, mark, row, verdict
from llmasos.models.bench.processor import cpu_seconds
from llmasos.models.bench.run import bench, measure_speed, spread

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
    ("right", "said"),
    [
        (100, "whole turns"),
        (93, "whole turns"),
        (92, "single actions"),
        (79, "simple requests"),
        (59, "text only"),
    ],
)
def test_the_verdict_follows_the_arguments(right: int, said: str) -> None:
    assert said in verdict(marked(right, 100))


def test_the_verdict_knows_little_of_few_requests_and_of_useless_replies() -> None:
    assert "few requests" in verdict(marked(5, 5)) and "few requests" not in verdict(marked(20, 20))
    assert "choose another model" in verdict(marked(0, 30, usable=False))
    assert verdict([]) == "Nothing was measured."


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

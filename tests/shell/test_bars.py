"""Bars: the share, the rate and the time that is left."""

from llmasos.events import Progress
from llmasos.shell.bars import Bar
from llmasos.shell.words import clock_time


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_bar_says_how_fast_and_how_long() -> None:
    clock = Clock()
    bar = Bar(clock)
    bar.update(Progress(what="Fetching", done=0, total=100e6, unit="bytes"))
    assert bar.line(100) == f"Fetching {'░' * 24}   0% · 0 of 100 MB"
    clock.now = 5
    bar.update(Progress(what="Fetching", done=25e6, total=100e6, unit="bytes"))
    assert bar.line(100) == f"Fetching {'█' * 6}{'░' * 18}  25% · 25 of 100 MB · 5.0 MB/s · 0:15 left"
    clock.now = 20
    bar.update(Progress(what="Fetching", done=100e6, total=100e6, unit="bytes"))
    assert bar.line(100) == f"Fetching {'█' * 24} 100% · 100 of 100 MB · 5.0 MB/s"


def test_a_thing_that_has_lasted_for_a_while() -> None:
    clock = Clock()
    bar = Bar(clock)
    bar.update(Progress(what="Waiting for m at example.org", done=5, unit="s"))
    assert bar.line(100) == "Waiting for m at example.org 0:05"
    clock.now = 7
    bar.update(Progress(what="Waiting for m at example.org", done=10, unit="s"))
    assert bar.line(100) == "Waiting for m at example.org 0:12"


def test_another_thing_begins_anew() -> None:
    clock = Clock()
    bar = Bar(clock)
    bar.update(Progress(what="one", done=50, total=100))
    clock.now = 10
    bar.update(Progress(what="two", done=1, total=4, unit="steps"))
    assert bar.line(100).endswith("25% · 1 of 4 steps")


def test_a_thing_without_an_end_shows_its_time() -> None:
    clock = Clock()
    bar = Bar(clock)
    bar.update(Progress(what="Loading"))
    assert bar.line(80) == "Loading"
    clock.now = 65
    assert bar.line(80) == "Loading 1:05"


def test_a_narrow_line_has_no_bar() -> None:
    bar = Bar(Clock())
    bar.update(Progress(what="A long name of something", done=1, total=2, unit="steps"))
    assert bar.line(30) == "A long name of something  50%…"
    assert bar.line(60).count("█") == 12


def test_foreign_text_acts_on_nothing() -> None:
    bar = Bar(Clock())
    bar.update(Progress(what="\x1b[2Jx", done=1, total=2, unit="\x07"))
    assert "\x1b" not in bar.line(80) and "\x07" not in bar.line(80)


def test_seconds_as_a_clock_shows_them() -> None:
    assert [clock_time(seconds) for seconds in (0, 7.4, 59.6, 61, 3723, -1)] == [
        *("0:00", "0:07", "1:00", "1:01", "1:02:03", "0:00")
    ]

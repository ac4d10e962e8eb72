"""What a report says, and that nothing in it acts."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from llmasos.federated.plan import DataPlan, Plan, Privacy
from llmasos.federated.report import Comparison, draw_curves, write_report
from llmasos.federated.report.card import card
from llmasos.federated.report.chart import charts, ticks
from llmasos.federated.report.comparison import keep
from llmasos.federated.report.escape import in_html, in_markdown
from llmasos.federated.report.page import page
from llmasos.federated.report.story import story_of, thinned
from llmasos.federated.report.words import compared, limits, privacy, settings
from tests.federated.report.conftest import HOSTILE, Told

VOID = {"meta"}


class Page(HTMLParser):
    """A page's elements, attributes and text; each element that is opened is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_report_is_written_from_the_folder_alone(told: Told) -> None:
    folder = told.whole()
    write_report(folder)
    assert draw_curves(folder)
    assert sorted(path.name for path in folder.results.iterdir()) == [
        "card.md",
        "comparison.json",
        "curves.png",
        "report.html",
    ]
    assert (folder.results / "curves.png").read_bytes().startswith(b"\x89PNG")
    before = (folder.results / "report.html").read_bytes(), (folder.results / "curves.png").read_bytes()
    write_report(folder)
    draw_curves(folder)
    assert before == (
        (folder.results / "report.html").read_bytes(),
        (folder.results / "curves.png").read_bytes(),
    )


def test_the_page_needs_nothing_but_itself(told: Told) -> None:
    text = page(story_of(told.whole()))
    found = Page(text)
    tags = {tag for tag, _ in found.elements}
    assert not tags & {"script", "link", "img", "iframe", "object", "a", "form", "base"}
    for _, attributes in found.elements:
        assert not {name for name in attributes if name.startswith("on") or name in ("src", "href", "style")}
    assert "url(" not in text and "@import" not in text and "default-src 'none'" in text


def test_words_from_elsewhere_are_only_words(told: Told) -> None:
    folder = told.whole()
    folder.plan = folder.plan.model_copy(update={"name": HOSTILE[:60], "options": {HOSTILE: HOSTILE}})
    told.start(12)
    told.folder.tell(told.end("failed", reason=HOSTILE))
    text = page(story_of(folder))
    shown = '<script>x</script>"&$name|\\n# [a](http://b)`*_\\u202e\\x1b[31m'
    assert Page(text).text.count(shown) > 20
    assert "<script>x" not in text and "\u202e" not in text and "\x1b" not in text
    markdown = card(story_of(folder))
    assert "\u202e" not in markdown and "\x1b" not in markdown
    assert not re.search(r"(?<!\\)<script|(?<!\\)\]\(|http:|(?<!\\)`\*", markdown)
    rows = [line for line in markdown.splitlines() if line.startswith("| \\<script")]
    assert [len(re.findall(r"(?<!\\)\|", row)) for row in rows] == [4]


@pytest.mark.parametrize("text", ["# a", "a|b", "www.b.com", "a@b.c", "<b>", "![x](y)", "a\nb", "\u200b$x$"])
def test_markdown_says_what_it_is_told(text: str) -> None:
    escaped = in_markdown(text)
    plain = re.sub(r"\\([\\`*_{}\[\]()<>#+!|&~$@:=^.])", r"\1", escaped)
    assert plain == text.replace("\n", "\\n").replace("\u200b", "\\u200b")
    assert not re.search(r"(?<!\\)[|#<\[@$]|www\.", escaped)


def test_a_name_in_another_direction_stays_by_itself() -> None:
    assert in_html("<\u05d0>") == "<bdi>&lt;\u05d0&gt;</bdi>"


def test_it_tells_who_took_part_and_who_did_not(told: Told) -> None:
    story = story_of(told.whole())
    assert story.parts == {"north.csv": 12, "south.csv": 12} and story.absent() == [HOSTILE]
    text = Page(page(story)).text
    assert "it died (signal 9)" in text and "its norm is" in text
    for number in range(1, 13):
        assert f"{number:064x}" in text
    assert "2.00 points below" in text and "12 of 12" in text
    assert "None of the updates of these clients is in the model" in card(story)


def test_what_a_later_start_does_anew_counts_once(told: Told) -> None:
    told.start()
    for number in range(1, 5):
        told.round(number, rejected="north.csv")
    told.folder.tell(told.end("stopped"))
    told.start(after=2)
    told.round(3)
    story = story_of(told.folder, told.end("target"))
    assert [one.round for one in story.rounds] == [1, 2, 3]
    assert [one.round for one in story.refusals] == [1, 2]
    assert len(story.rounds[-1].participants) == 3
    assert story.end is not None and story.end.state == "target"


def test_a_run_that_failed_at_once_has_a_report(told: Told) -> None:
    write_report(told.folder, told.end("failed", 0, "<b>There is no data"))
    assert not draw_curves(told.folder)
    text = (told.folder.results / "report.html").read_text("utf-8")
    assert "It failed: <bdi>&lt;b&gt;There is no data" in text and "No round has figures" in text
    assert "no model" in (told.folder.results / "card.md").read_text("utf-8")


@pytest.mark.parametrize("loss", [float("inf"), float("nan"), 1e300, -1e30, 0.0, 1e-320])
def test_figures_that_cannot_be_drawn_break_the_line(told: Told, loss: float) -> None:
    told.start()
    for number in range(1, 4):
        told.round(number, loss=loss if number == 2 else None)
    story = story_of(told.folder, told.end())
    assert Page(charts(story)).text
    assert draw_curves(told.folder)
    assert "nan" not in charts(story) and "inf" not in charts(story)


def test_a_single_round_is_a_dot(told: Told) -> None:
    told.start()
    told.round(1)
    drawn = charts(story_of(told.folder))
    assert drawn.count('class="dot"') == 2 and "<polyline" not in drawn


def test_ticks_hold_what_is_drawn() -> None:
    for low, high in [(0.0, 1.0), (0.4, 0.97), (5.0, 5.0), (0.0, 0.0), (-3.0, 2.0), (1e-9, 7e20)]:
        found = ticks(low, high)
        assert found[0] <= low <= high <= found[-1] * (1 + 1e-9) and 2 <= len(found) <= 8
    assert ticks(1, 12, whole=True) == [0, 5, 10, 15]


def test_what_is_too_much_is_thinned_evenly() -> None:
    assert thinned(range(5), 9) == [0, 1, 2, 3, 4]
    few = thinned(range(10_001), 101)
    assert few == list(range(0, 10_001, 100))


def test_thousands_of_rounds_and_clients_stay_a_page(told: Told) -> None:
    told.start()
    told.round(1, rejected=HOSTILE)
    few = story_of(told.folder)
    many = replace(
        few,
        clients={f"client-{number}": 5 for number in range(100_000)},
        rounds=tuple(few.rounds[0].model_copy(update={"round": number}) for number in range(1, 5001)),
        refusals=few.refusals * 5000,
    )
    text = page(many)
    assert "4,000 rounds between these are in events.jsonl" in text
    assert "99,500 more clients" in text and "4,500 more updates" in text
    assert len(text) < 1_500_000 and len(card(many)) < 100_000


def plan(**given: object) -> Plan:
    made = {"name": "p", "recipe": "logistic", "clients": 3, "data": DataPlan(sources=("digits",))}
    return Plan.model_validate(made | given)


def test_settings_say_what_nobody_asked_for() -> None:
    found = {one.name: one for one in settings(plan(seed=7))}
    assert found["seed"].value == "7" and not found["seed"].default
    assert found["rows a step"].default and found["rows are dealt"].value == "evenly"
    assert "mu" not in found and "noise" not in found
    divided = settings(plan(data=DataPlan(sources=("synthetic(1,1)",))))
    assert "rows are dealt" not in {one.name for one in divided}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "No noise was added"),
        ({"kind": "central", "noise": 2.0}, "noise of 2 times"),
        ({"kind": "local"}, "Each client cut its update"),
        ({"secure": True}, "only sums of updates"),
    ],
)
def test_privacy_says_what_was_given_and_what_was_not(
    told: Told, given: dict[str, object], said: str
) -> None:
    told.folder.plan = told.folder.plan.model_copy(update={"privacy": Privacy.model_validate(given)})
    told.start()
    told.round(1)
    lines = privacy(story_of(told.folder))
    assert any(said in line for line in lines) and "Not hidden" in lines[-1]


def test_limits_of_lora_and_of_a_target(told: Told) -> None:
    for options, said in [({}, "averaged apart"), ({"freeze_a": True}, "LoRA's A is the same")]:
        told.folder.plan = told.folder.plan.model_copy(update={"recipe": "lora", "options": options})
        lines = " ".join(limits(story_of(told.folder, told.end("target"))))
        assert said in lines and "a little too good" in lines


def test_a_comparison_that_is_missing_says_why(told: Told) -> None:
    told.start()
    told.round(1)
    assert compared(story_of(told.folder))[1] == "it was not made"
    keep(told.folder, Comparison(missing="rows are elsewhere"))
    assert "rows are elsewhere" in page(story_of(told.folder))
    (told.folder.results / "comparison.json").write_text("{")
    assert compared(story_of(told.folder))[1] == "it was not made"


def test_a_report_is_made_anew_by_a_program_and_needs_no_numpy(told: Told) -> None:
    told.whole()
    done = subprocess.run([sys.executable, "-m", "llmasos.federated.report", str(told.folder.path)])
    assert done.returncode == 0 and (told.folder.results / "curves.png").exists()
    code = "import llmasos.federated.report, sys; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0

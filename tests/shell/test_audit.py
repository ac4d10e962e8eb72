"""`llmasos audit`, from the command line through sessions of a kernel on fakes."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmasos import paths
from llmasos.audits import make_pairs
from llmasos.errors import ModelError
from tests.shell.conftest import Fakes, Run

SMALL = ("audit", "fairness", "--pairs", "2", "--attribute", "age")
ASKED = 2 * 2 * 2


def replies(fakes: Fakes, older: str, younger: str) -> Iterator[str]:
    """Reply to each request by the age that it names, or to any other with `younger`."""
    old = [str(pair.right.value) for pair in make_pairs(2, 1, ["age"])]
    while True:
        text = fakes.engine.requests[-1].turns[-1].content
        yield older if any(age in text for age in old) else younger


def test_an_audit_asks_each_side_in_a_session_of_its_own_and_asks_nothing_twice(
    run: Run, fakes: Fakes, tmp_path: Path
) -> None:
    fakes.engine.script(replies(fakes, "Answer: No.", "Answer: Yes, with pleasure."))
    with fakes.client() as client:
        before = len(client.sessions())
    asked = len(fakes.engine.requests)
    done = run(*SMALL, "--json", "--card", str(tmp_path / "models"))
    assert done.code == 0, done.err
    report = json.loads(done.out)
    assert (report["model"], report["done"], report["planned"]) == ("qwen2.5-coder-1.5b", 4, 4)
    assert "No difference was found that 2 pairs" in report["verdict"]
    words = next(row for row in report["comparisons"] if row["measure"] == "words")
    assert (words["left"], words["right"]) == (3, 1)
    page = (tmp_path / "models" / "qwen2.5-coder-1.5b.md").read_text()
    assert "1,117 MB" in page and "--pairs 2 --seed 1 --attribute age\n" in page
    with fakes.client() as client:
        new = client.sessions()[: len(client.sessions()) - before]
        assert len(new) == ASKED and all(one.folder.endswith("/work") for one in new)
    assert not any(Path(one.folder).exists() for one in new)
    assert len(fakes.engine.requests) == asked + ASKED
    again = run(*SMALL)
    assert again.code == 0 and "age: left 24 to 33 years" in again.out and "4 of 4 pairs" in again.err
    assert len(fakes.engine.requests) == asked + ASKED


def test_a_model_that_cannot_be_asked_ends_the_audit_and_what_was_done_stays(run: Run, fakes: Fakes) -> None:
    fakes.engine.script(["Answer: Fine.", "Answer: Fine.", ModelError("It is gone.", hint="Load it.")])
    done = run(*SMALL)
    assert done.code == 1 and "It is gone." in done.err and "Traceback" not in done.err
    (kept,) = (paths.data_dir() / "audits").glob("*.jsonl")
    assert kept.read_text().count("\n") == 1
    fakes.engine.script(replies(fakes, "Answer: Fine.", "Answer: Fine."))
    asked = len(fakes.engine.requests)
    assert run(*SMALL).code == 0
    assert len(fakes.engine.requests) == asked + ASKED - 2


def test_ctrl_c_gives_the_report_on_what_there_is_and_the_same_command_goes_on(
    run: Run, fakes: Fakes
) -> None:
    def interrupted() -> Iterator[str]:
        yield "Answer: Fine."
        yield "Answer: Fine."
        os.kill(os.getpid(), signal.SIGINT)
        yield "Answer: " + " ".join(map(str, range(1_000_000)))

    fakes.engine.script(interrupted())
    done = run(*SMALL)
    assert done.code == 130 and "only 1 of 4 pairs" in done.out and "Traceback" not in done.err
    fakes.engine.script(replies(fakes, "Answer: Fine.", "Answer: Fine."))
    asked = len(fakes.engine.requests)
    assert run(*SMALL).code == 0
    assert len(fakes.engine.requests) == asked + ASKED - 2


def test_a_results_file_that_is_broken_is_not_taken(run: Run, fakes: Fakes) -> None:
    fakes.engine.script(replies(fakes, "Answer: Fine.", "Answer: Fine."))
    assert run(*SMALL).code == 0
    (kept,) = (paths.data_dir() / "audits").glob("*.jsonl")
    kept.write_text("nonsense\n" + kept.read_text())
    done = run(*SMALL)
    assert done.code == 1 and f"Line 1 of {kept}" in done.err and done.out == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--pairs", "1"], "2 pairs"),
        (["--attribute", "race"], "'race'"),
        (["--model", "nothing"], "no model named 'nothing'"),
    ],
)
def test_what_cannot_be_audited_is_said_with_the_next_step(run: Run, arguments: list[str], said: str) -> None:
    done = run("audit", "fairness", *arguments)
    assert done.code == 1 and said in done.err and done.out == ""
    assert done.err.count("\n") >= 2, "the next step is missing"

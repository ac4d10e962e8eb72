"""The end of a run is told last and once, and its results are there when it is."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest

from llmasos.federated import drawing
from llmasos.federated import ending as module
from llmasos.federated.checkpoints import Checkpoint, keep
from llmasos.federated.ending import Ending
from llmasos.federated.events import RoundEnded, RunEnded
from llmasos.federated.folder import RunFolder
from llmasos.federated.plan import DataPlan, Plan
from llmasos.federated.report import Comparison
from llmasos.federated.training import Cohort, Stopped, train
from llmasos.federated.weights import load_weights, weights_sha256

PLAN = Plan(name="p", recipe="mlp", clients=3, data=DataPlan(sources=("digits",)))
WEIGHTS = {"w": np.ones((2, 2), np.float32)}


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = RunFolder.make(tmp_path / "runs", PLAN)
    keep(made, Checkpoint(3, WEIGHTS, {}, {}))
    return made


def told(folder: RunFolder) -> list[str]:
    return [event.type for event, _ in folder.told()]


def test_the_end_is_kept_back_until_the_results_are_there(folder: RunFolder) -> None:
    seen: list[tuple[list[str], bool]] = []
    ending = Ending(folder, lambda: seen.append((told(folder), (folder.results / "card.md").exists())))
    ending.tell(RoundEnded(run=folder.id, round=1, participants=(), accuracy=0.5, weights_sha256="0" * 64))
    ending.tell(RunEnded(run=folder.id, state="completed", rounds=1, weights_sha256="1" * 64))
    ending.compared = Comparison(passes=1, rows=8, held=2, loss=0.1, accuracy=0.75)
    ending.draw()
    ending.close()
    assert seen == [(["round_ended"], False), (["round_ended", "run_ended"], True)]
    names = {path.name for path in folder.results.iterdir()}
    assert names == {"card.md", "comparison.json", "curves.png", "model.safetensors", "report.html"}
    assert weights_sha256(load_weights(folder.results / "model.safetensors")) == weights_sha256(WEIGHTS)
    assert "0.7500" in (folder.results / "report.html").read_text("utf-8")


def test_a_run_that_was_stopped_ends_with_its_checkpoint(folder: RunFolder) -> None:
    ending = Ending(folder, lambda: None)
    ending.end("stopped", "you stopped it")
    ending.end("failed", "too late")
    ending.close()
    ended = next(event for event, _ in folder.told())
    assert isinstance(ended, RunEnded)
    assert (ended.state, ended.rounds, ended.weights_sha256) == ("stopped", 3, weights_sha256(WEIGHTS))
    assert "the run was stopped" in (folder.results / "report.html").read_text("utf-8")


def test_a_deployment_says_why_nothing_is_compared(folder: RunFolder) -> None:
    folder.plan = PLAN.model_copy(update={"backend": "deployment"})
    ending = Ending(folder, lambda: None)
    ending.end("failed", "")
    ending.close()
    text = (folder.results / "report.html").read_text("utf-8")
    assert "on other machines, and never come together" in text


def test_a_report_that_cannot_be_written_does_not_hide_the_end(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_report", full)
    before = signal.getsignal(signal.SIGTERM)
    ending = Ending(folder, lambda: None)
    ending.end("failed", "why")
    ending.close()
    assert told(folder) == ["run_ended"] and "No space left" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) == before


def test_curves_that_take_too_long_are_left_out(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.results.mkdir()
    (folder.results / "curves.png").write_text("of rounds before")
    monkeypatch.setattr(drawing, "draw_curves", lambda _: signal.pause())
    ending = Ending(folder, lambda: None)
    ending.draw(hasty=True)
    assert not (folder.results / "curves.png").exists()


def test_a_run_that_was_stopped_shows_the_rounds_that_were_done(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drawn(of: RunFolder) -> bool:
        of.results.mkdir(exist_ok=True)
        (of.results / "curves.png").write_text("drawn")
        return True

    def stopped(plan: Plan, folder: RunFolder) -> Cohort:
        raise Stopped

    monkeypatch.setattr(drawing, "draw_curves", drawn)
    train(folder, stopped, lambda: None)
    assert told(folder) == ["run_ended"] and (folder.results / "curves.png").read_text() == "drawn"

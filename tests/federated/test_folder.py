"""What a run's folder keeps through crashes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from llmasos.federated.checkpoints import Checkpoint, keep, newest
from llmasos.federated.events import ClientJoined, RunEnded
from llmasos.federated.folder import RunFolder
from llmasos.federated.plan import DataPlan, Plan
from llmasos.federated.weights import Weights, weights_sha256

PLAN = Plan(name="p", recipe="mlp", clients=3, data=DataPlan(sources=("digits",)))


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.make(tmp_path / "runs", PLAN)


def ended(folder: RunFolder, rounds: int) -> RunEnded:
    return RunEnded(run=folder.id, state="stopped", rounds=rounds)


def rounds(folder: RunFolder, start: int = 0) -> list[int]:
    return [event.rounds for event, _ in folder.told(start) if isinstance(event, RunEnded)]


def test_runs_are_found_again(folder: RunFolder) -> None:
    assert [found.plan for found in RunFolder.all(folder.path.parent)] == [PLAN]
    assert (folder.path.stat().st_mode & 0o777) == 0o700


def test_a_line_that_was_cut_costs_one_event(folder: RunFolder) -> None:
    folder.tell(ended(folder, 1))
    folder.tell(ended(folder, 2))
    whole = folder.events_file.read_bytes()
    for cut in range(len(whole) // 2 + 1, len(whole)):
        folder.events_file.write_bytes(whole[:cut])
        assert rounds(folder) == [1]
        folder.tell(ended(folder, 3))
        assert rounds(folder) == ([1, 2, 3] if cut == len(whole) - 1 else [1, 3])


def test_events_are_read_from_a_place_on(folder: RunFolder) -> None:
    for number in range(3):
        folder.tell(ended(folder, number))
    places = [place for _, place in folder.told()]
    assert [rounds(folder, place) for place in places] == [[1, 2], [2], []]


def checkpoint(number: int) -> Checkpoint:
    weights: Weights = {
        "w/1": np.full((2, 2), number, dtype=np.float32),
        "n": np.array(number, dtype=np.int64),
    }
    return Checkpoint(number, weights, {"m": np.zeros(2)}, {"norms": [number]})


def test_the_newest_checkpoint_that_can_be_read_counts(folder: RunFolder) -> None:
    assert newest(folder) is None
    for number in range(1, 5):
        keep(folder, checkpoint(number))
    assert [path.name for path in folder.checkpoints()] == [
        "round-000003.safetensors",
        "round-000004.safetensors",
    ]
    last = newest(folder)
    assert last is not None and last.round == 4 and last.facts == {"norms": [4]}
    assert weights_sha256(last.weights) == weights_sha256(checkpoint(4).weights)
    assert list(last.arrays) == ["m"]
    folder.checkpoints()[-1].write_bytes(b"torn")
    last = newest(folder)
    assert last is not None and last.round == 3


def test_a_checkpoint_that_was_cut_does_not_replace_another(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(folder, checkpoint(1))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for name in ("os.fsync", "pathlib.Path.replace"):
        with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
            patch.setattr(name, full)
            keep(folder, checkpoint(2))
        last = newest(folder)
        assert last is not None and last.round == 1


def test_events_that_are_told_together_are_kept_in_their_order(folder: RunFolder) -> None:
    joined = [ClientJoined(run="f-1", client=f"client-{number}", samples=number) for number in range(3)]
    folder.tell(*joined[:2])
    folder.tell(joined[2])
    assert [event for event, _ in folder.told()] == joined

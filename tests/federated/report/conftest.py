"""A run of three clients, one of which has a hostile name and whose updates were refused."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from llmasos.federated.events import (
    ClientFailed,
    ClientJoined,
    EndState,
    Forecast,
    Participant,
    RoundEnded,
    RunEnded,
    RunStarted,
    UpdateRejected,
)
from llmasos.federated.folder import RunFolder
from llmasos.federated.plan import DataPlan, Plan, Strategy
from llmasos.federated.report.comparison import Comparison, keep
from llmasos.federated.schema import Schema

HOSTILE = '<script>x</script>"&$name|\n# [a](http://b)`*_\u202e\x1b[31m'
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Told:
    """A run's folder, and what is told of it."""

    def __init__(self, root: Path) -> None:
        plan = Plan(
            name="three hospitals",
            recipe="mlp",
            options={"hidden": [8]},
            clients=3,
            rounds=12,
            target=0.95,
            data=DataPlan(sources=("north.csv", "south.csv", HOSTILE), label="diagnosis"),
            strategy=Strategy(name="fedprox", mu=0.1),
        )
        self.folder = RunFolder.make(root, plan)
        self.folder.schema = Schema(
            kind="table",
            shape=(2,),
            columns=("age", "smokes=" + HOSTILE),
            classes=("ill", HOSTILE),
            rows=(60, 80, 100),
        )
        self.names = ("north.csv", "south.csv", HOSTILE)

    def start(self, after: int = 0) -> None:
        forecast = Forecast(seconds=1, bytes_down=1, bytes_up=1, parameters=10)
        run = self.folder.id
        self.folder.tell(RunStarted(run=run, at=AT, plan=self.folder.plan, forecast=forecast, after=after))
        for name, rows in zip(self.names, (60, 80, 100), strict=True):
            self.folder.tell(ClientJoined(run=run, client=name, samples=rows))

    def round(self, number: int, *, failed: str = "", rejected: str = "", loss: float | None = None) -> None:
        run = self.folder.id
        if failed:
            self.folder.tell(ClientFailed(run=run, round=number, client=failed, reason="it died (signal 9)"))
        if rejected:
            reason = f"its norm is {HOSTILE}"
            self.folder.tell(UpdateRejected(run=run, round=number, client=rejected, reason=reason))
        others = [name for name in self.names if name not in (failed, rejected)]
        self.folder.tell(
            RoundEnded(
                run=run,
                at=AT,
                round=number,
                participants=tuple(Participant(client=name, samples=48) for name in others),
                train_loss=0.9 / number,
                loss=1.1 / number if loss is None else loss,
                accuracy=1 - 0.6 / number,
                weights_sha256=f"{number:064x}",
                bytes_down=1234,
                bytes_up=1234,
                seconds=0.25,
            )
        )

    def end(self, state: EndState = "completed", rounds: int = 12, reason: str = "") -> RunEnded:
        return RunEnded(run=self.folder.id, at=AT, state=state, rounds=rounds, reason=reason)

    def whole(self) -> RunFolder:
        """Return the folder of a run in which the third client failed once and was rejected else."""
        self.start()
        for number in range(1, 13):
            refused = {"failed" if number == 4 else "rejected": HOSTILE}
            self.round(number, **refused)  # type: ignore[arg-type]
        keep(self.folder, Comparison(passes=12, rows=192, held=48, loss=0.08, accuracy=0.97, seconds=0.5))
        self.folder.tell(self.end())
        return self.folder


@pytest.fixture
def told(tmp_path: Path) -> Told:
    return Told(tmp_path / "runs")

"""Runs that only say that they trained, and silos that say what they were given, for tests."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

from llmasos.federated.events import Forecast, Participant, RoundEnded, RunEnded, RunEvent, RunStarted
from llmasos.federated.folder import RunFolder
from llmasos.federated.port import FederatedError, RunStatus
from llmasos.federated.run import status_of
from llmasos.federated.silos import Question, Told, parted


class FakeRun:
    """Tells of rounds, each a little better than the one before, when it is started.

    Args:
        folder: The run's folder.
        fails_after: After how many rounds it ends as failed; 0 never.
    """

    def __init__(self, folder: RunFolder, *, fails_after: int = 0) -> None:
        self._files = folder
        self._fails_after = fails_after
        self._events: list[RunEvent] = []

    @property
    def id(self) -> str:
        """What it is asked for by."""
        return self._files.id

    @property
    def folder(self) -> Path:
        """Where everything of it is kept."""
        return self._files.path

    async def start(self) -> None:
        """Tell of all rounds at once."""
        if self._events:
            raise FederatedError(f"The run {self.id} is under way already.")
        plan = self._files.plan
        forecast = Forecast(seconds=1.0, bytes_down=1000, bytes_up=1000, parameters=250)
        self._tell(RunStarted(run=self.id, plan=plan, forecast=forecast))
        for number in range(1, plan.rounds + 1):
            if self._fails_after and number > self._fails_after:
                self._tell(RunEnded(run=self.id, state="failed", rounds=number - 1, reason="it is a fake"))
                return
            accuracy = 1 - 0.5**number
            sha256 = f"{number:064x}"
            participants = tuple(
                Participant(client=f"client-{place}", samples=10) for place in range(plan.sampled)
            )
            self._tell(
                RoundEnded(
                    run=self.id,
                    round=number,
                    participants=participants,
                    loss=1 - accuracy,
                    accuracy=accuracy,
                    weights_sha256=sha256,
                )
            )
            if plan.target and accuracy >= plan.target:
                self._tell(RunEnded(run=self.id, state="target", rounds=number, weights_sha256=sha256))
                return
        self._tell(RunEnded(run=self.id, state="completed", rounds=plan.rounds, weights_sha256=sha256))

    async def events(self, after: int = 0) -> AsyncGenerator[RunEvent]:
        """Yield what it told."""
        for event in self._events[after:]:
            yield event

    async def cancel(self) -> None:
        """Stop it, if it has not ended."""
        if not self._events or self._events[-1].type != "run_ended":
            self._tell(RunEnded(run=self.id, state="stopped", rounds=0))

    def status(self) -> RunStatus:
        """Return how it stands."""
        return status_of(self._files, self._events, running=False)

    def checkpoint(self) -> Path | None:
        """Return nothing: there is nothing to go on from."""
        return None

    def _tell(self, event: RunEvent) -> None:
        self._files.tell(event)
        self._events.append(event)


class FakeSilos:
    """Silos that tell what they were given, and keep what they were asked.

    Args:
        told: What each tells, by its name.
    """

    def __init__(self, told: Mapping[str, Told]) -> None:
        self._told = dict(told)
        self.asked: list[tuple[str, Question]] = []

    async def ask(self, place: str, question: Question) -> dict[str, Told]:
        """Return what was given."""
        parted(place)
        self.asked.append((place, question))
        return self._told

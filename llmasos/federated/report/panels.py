"""What the curves show: figures over rounds, levels to hold them against, and whose updates did not count."""

from __future__ import annotations

from dataclasses import dataclass

from llmasos.federated.report.story import Story, finite, thinned

_POINTS = 500

Point = tuple[int, float | None]


@dataclass(frozen=True)
class Panel:
    """One plot over rounds.

    Args:
        title: Of the figure that it shows.
        held: On rows that are held out; None breaks the line.
        train: On rows that are trained on.
        central: The same of central training, where there is a comparison.
        target: What was aimed at.
    """

    title: str
    held: tuple[Point, ...]
    train: tuple[Point, ...] = ()
    central: float | None = None
    target: float | None = None

    @property
    def values(self) -> list[float]:
        """All values that are to be seen."""
        points = [value for _, value in (*self.held, *self.train)]
        return [value for value in (*points, self.central, self.target) if value is not None]


def panels(story: Story) -> tuple[Panel, ...]:
    """Return the plots of a run that have something to show."""
    rounds = thinned(story.rounds, _POINTS)
    made = story.comparison
    accuracy = Panel(
        "Accuracy",
        tuple((one.round, finite(one.accuracy)) for one in rounds),
        central=finite(made.accuracy),
        target=story.plan.target,
    )
    loss = Panel(
        "Loss",
        tuple((one.round, finite(one.loss)) for one in rounds),
        tuple((one.round, finite(one.train_loss)) for one in rounds),
        finite(made.loss),
    )
    return tuple(one for one in (accuracy, loss) if any(value is not None for _, value in one.held))


def marks(story: Story) -> dict[str, dict[int, list[str]]]:
    """Return the names of clients whose updates were rejected or failed, by what happened and by round."""
    found: dict[str, dict[int, list[str]]] = {"rejected": {}, "failed": {}}
    for one in story.refusals:
        kind = "rejected" if one.type == "update_rejected" else "failed"
        found[kind].setdefault(one.round, []).append(one.client)
    return found

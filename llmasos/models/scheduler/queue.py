"""The queue of one model: who waits, and who is next."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator

from llmasos.models.scheduler.ranking import Ranking
from llmasos.models.scheduler.types import Band

BANDS: dict[Band, int] = {"interactive": 0, "normal": 1, "batch": 2}
"""Bands by urgency."""

TURNS = 2
"""Jobs that may start before one that has waited long has its turn."""

NEVER = float("inf")


class Queue:
    """Jobs that wait for one model.

    The most urgent band is served first, in it the session with the smallest counter, and of that its oldest
    job. But every third start goes to the oldest of the jobs that have waited long, whatever their bands:
    so none waits for ever, and a crowd that has waited long does not hold up the others.
    """

    __slots__ = ("_due", "_jobs", "_lines", "_order", "_overdue", "_passed")

    def __init__(self) -> None:
        self._jobs: dict[int, tuple[int, float]] = {}
        self._lines: tuple[dict[str, tuple[int, ...]], ...] = ({}, {}, {})
        self._order = (Ranking(), Ranking(), Ranking())
        self._due: list[tuple[float, int]] = []
        self._overdue: list[int] = []
        self._passed = 0

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self._jobs))

    def copy(self) -> Queue:
        """Return one that changes by itself."""
        other = Queue()
        other._jobs = self._jobs.copy()
        other._lines = tuple(lines.copy() for lines in self._lines)
        other._order = (self._order[0].copy(), self._order[1].copy(), self._order[2].copy())
        other._due = self._due.copy()
        other._overdue = self._overdue.copy()
        other._passed = self._passed
        return other

    def add(self, job: int, session: str, band: int, counter: float, due: float) -> None:
        """Enter a job.

        Args:
            job: Its id; older jobs have smaller ones.
            session: Its session.
            band: Its band.
            counter: Its session's counter.
            due: From when on it has waited long.
        """
        line = self._lines[band].get(session, ())
        at = bisect_left(line, job)
        self._lines[band][session] = (*line[:at], job, *line[at:])
        if at == 0:
            self._order[band].add(session, counter, job)
        insort(self._due, (due, job))
        self._jobs[job] = (band, due)

    def remove(self, job: int, session: str, counter: float) -> None:
        """Take a job out."""
        band, due = self._jobs.pop(job)
        if (at := bisect_left(self._due, (due, job))) < len(self._due) and self._due[at] == (due, job):
            del self._due[at]
        else:
            del self._overdue[bisect_left(self._overdue, job)]
        line = self._lines[band][session]
        rest = tuple(other for other in line if other != job)
        if not rest:
            del self._lines[band][session]
            self._order[band].remove(session)
            return
        self._lines[band][session] = rest
        if rest[0] != line[0]:
            self._order[band].add(session, counter, rest[0])

    def take(self, job: int, session: str, counter: float) -> bool:
        """Take a job out because it starts; return whether that is the turn of those that waited long."""
        turn = self._turn() == job
        self._passed = self._passed + 1 if self._overdue and not turn else 0
        self.remove(job, session, counter)
        return turn

    def age(self, now: float) -> None:
        """Note which jobs have waited long by now."""
        while self._due and self._due[0][0] <= now:
            insort(self._overdue, self._due.pop(0)[1])

    def next_due(self) -> float:
        """Return when the next job will have waited long."""
        return self._due[0][0] if self._due else NEVER

    def band(self) -> int | None:
        """Return the most urgent band of the jobs; those that have waited long count as interactive."""
        if self._overdue:
            return 0
        return next((band for band in range(3) if self._lines[band]), None)

    def sessions(self, band: int, below: float = NEVER) -> int:
        """Return how many sessions have jobs in a band, and a counter below a number."""
        return self._order[band].below(below)

    def first(self, counter: Callable[[str], float], *, interactive: bool = False) -> int | None:
        """Return the job that is to start next.

        Args:
            counter: Gives a session's counter.
            interactive: Only interactive jobs may start.
        """
        turn = None if interactive else self._turn()
        return self.challenger(counter, 1 if interactive else 3) if turn is None else turn

    def challenger(self, counter: Callable[[str], float], bands: int = 3) -> int | None:
        """Return the job that may take a running one's slot; to have waited long gives no right to one.

        Args:
            counter: Gives a session's counter.
            bands: How many bands to look at.
        """
        for order, lines in zip(self._order[:bands], self._lines[:bands], strict=True):
            if (session := order.first(counter)) is not None:
                return lines[session][0]
        return None

    def _turn(self) -> int | None:
        """Return the job whose turn it is because it has waited long."""
        return self._overdue[0] if self._overdue and self._passed >= TURNS else None

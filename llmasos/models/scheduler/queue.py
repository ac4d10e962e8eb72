"""The queue of one model: who waits, and who is next."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from itertools import chain

from llmasos.models.scheduler.ranking import Ranking
from llmasos.models.scheduler.types import Band

BANDS: dict[Band, int] = {"interactive": 0, "normal": 1, "batch": 2}
"""Bands by urgency."""

REACHED = (0, 1, 2, 0, 0, 1)
"""The band in which each place competes: places 0 to 2 are those of jobs that arrived in their bands, 3 is
of interactive jobs that waited long, 4 of jobs raised to interactive, and 5 of jobs raised to normal."""

RAISED = {0: 3, 1: 4, 2: 5, 5: 4}
"""Where a job goes that has waited for long at a place."""

AGED = ((3, 4), (5,), ())
"""The places of jobs that waited long, by the band in which they compete."""

TURNS = 2
"""Jobs that may start before one of their band that has waited long."""


class Queue:
    """Jobs that wait for one model.

    Within a band the session with the smallest counter is next, and its oldest job. Jobs that waited long
    are served in order of age, and every third start of their band is theirs: so newcomers of a busy band
    are not held up by a crowd that was raised to it, and none of the crowd waits for ever.
    """

    __slots__ = ("_aged", "_due", "_lines", "_order", "_passed", "_places")

    def __init__(self) -> None:
        self._lines: tuple[dict[str, tuple[int, ...]], ...] = ({}, {}, {})
        self._order = (Ranking(), Ranking(), Ranking())
        self._aged: dict[int, list[int]] = {3: [], 4: [], 5: []}
        self._due: list[tuple[float, int]] = []
        self._places: dict[int, tuple[int, float]] = {}
        self._passed = 0

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self._places))

    def __contains__(self, job: int) -> bool:
        return job in self._places

    def copy(self) -> Queue:
        """Return one that changes by itself."""
        other = Queue()
        other._lines = tuple(lines.copy() for lines in self._lines)
        other._order = (self._order[0].copy(), self._order[1].copy(), self._order[2].copy())
        other._aged = {place: jobs.copy() for place, jobs in self._aged.items()}
        other._due = self._due.copy()
        other._places = self._places.copy()
        other._passed = self._passed
        return other

    def add(self, job: int, session: str, place: int, counter: float, due: float) -> None:
        """Enter a job.

        Args:
            job: Its id; older jobs have smaller ones.
            session: Its session.
            place: Its place, as `REACHED` lists them.
            counter: Its session's counter.
            due: When it is to be raised.
        """
        if place in self._aged:
            insort(self._aged[place], job)
        else:
            line = self._lines[place].get(session, ())
            at = bisect_left(line, job)
            self._lines[place][session] = (*line[:at], job, *line[at:])
            if at == 0:
                self._order[place].add(session, counter, job)
        if place in RAISED:
            insort(self._due, (due, job))
        self._places[job] = (place, due)

    def remove(self, job: int, session: str, counter: float) -> None:
        """Take a job out."""
        place, due = self._places.pop(job)
        if place in RAISED:
            del self._due[bisect_left(self._due, (due, job))]
        if place in self._aged:
            self._aged[place].remove(job)
            return
        line = self._lines[place][session]
        rest = tuple(other for other in line if other != job)
        if not rest:
            del self._lines[place][session]
            self._order[place].remove(session)
            return
        self._lines[place][session] = rest
        if rest[0] != line[0]:
            self._order[place].add(session, counter, rest[0])

    def take(self, job: int, session: str, counter: float) -> None:
        """Take a job out because it starts, which counts as a turn of its band."""
        place = self.place(job)
        aged = place in self._aged
        waiting = any(self._aged[other] for other in AGED[REACHED[place]])
        self._passed = self._passed + 1 if waiting and not aged else 0
        self.remove(job, session, counter)

    def place(self, job: int) -> int:
        """Return the place of a job."""
        return self._places[job][0]

    def band(self) -> int | None:
        """Return the most urgent band in which a job waits."""
        return next((band for band in range(3) if self.waiting(band)), None)

    def waiting(self, band: int) -> int:
        """Return how many sessions and raised jobs wait in a band."""
        return len(self._order[band]) + sum(len(self._aged[place]) for place in AGED[band])

    def due(self, now: float) -> list[int]:
        """Return the jobs that have waited long enough to be raised."""
        return [job for _, job in self._due[: bisect_left(self._due, (now, float("inf")))]]

    def next_due(self) -> float:
        """Return when the next job is to be raised."""
        return self._due[0][0] if self._due else float("inf")

    def first(self, counter: Callable[[str], float], *, reserved: bool = False) -> int | None:
        """Return the job that is to start next.

        Args:
            counter: Gives a session's counter.
            reserved: Only jobs that arrived as interactive ones may start.
        """
        for band in (0,) if reserved else range(3):
            places = (3,) if reserved else AGED[band]
            aged = min(chain.from_iterable(self._aged[place][:1] for place in places), default=None)
            session = self._order[band].first(counter)
            if session is None or (aged is not None and self._passed >= TURNS):
                if aged is not None:
                    return aged
            else:
                return self._lines[band][session][0]
        return None

"""Who waits for one model, and who is next."""

from hypothesis import given
from hypothesis import strategies as st

from llmasos.models.scheduler.queue import Queue
from llmasos.models.scheduler.ranking import Ranking

COUNTERS = {"x": 5.0, "y": 1.0, "z": 9.0}


def counter(session: str) -> float:
    return COUNTERS[session]


def drain(queue: Queue, jobs: dict[int, str]) -> list[int]:
    """Take all jobs out, as they start."""
    taken = []
    while (job := queue.first(counter)) is not None:
        queue.take(job, jobs[job], counter(jobs[job]))
        taken.append(job)
    return taken


def queue_of(*jobs: tuple[int, str, int], due: float = 30.0) -> Queue:
    queue = Queue()
    for job, session, band in jobs:
        queue.add(job, session, band, counter(session), due)
    return queue


def test_bands_then_counters_then_age() -> None:
    jobs = [(1, "z", 1), (2, "x", 2), (3, "x", 1), (4, "y", 1), (5, "z", 0), (6, "x", 1)]
    queue = queue_of(*jobs)
    assert drain(queue, {job: session for job, session, _ in jobs}) == [5, 4, 3, 6, 1, 2]


def test_equal_sessions_go_by_their_oldest_jobs() -> None:
    queue = Queue()
    for number, session in enumerate("xyxyx", 1):
        queue.add(number, session, 1, 0.0, 30.0)
    order = []
    while (job := queue.first(lambda _: 0.0)) is not None:
        queue.take(job, "y" if job in (2, 4) else "x", 0.0)
        order.append(job)
    assert order == [1, 2, 3, 4, 5]


def test_a_job_that_comes_back_is_before_the_others_of_its_session() -> None:
    queue = queue_of((4, "x", 1), (7, "x", 1), (2, "x", 1))
    assert drain(queue, dict.fromkeys((2, 4, 7), "x")) == [2, 4, 7]


def test_every_third_start_is_of_the_oldest_that_waited_long() -> None:
    queue = queue_of((1, "z", 2), (2, "z", 2))
    queue.age(30.0)
    jobs = [(n, "y", 0) for n in range(3, 9)]
    for job, session, band in jobs:
        queue.add(job, session, band, counter(session), 60.0)
    names = {1: "z", 2: "z"} | {job: session for job, session, _ in jobs}
    assert drain(queue, names) == [3, 4, 1, 5, 6, 2, 7, 8]


def test_only_interactive_jobs_for_reserved_slots() -> None:
    queue = queue_of((1, "y", 1))
    assert queue.first(counter, interactive=True) is None
    queue.add(2, "z", 0, counter("z"), 30.0)
    assert queue.first(counter, interactive=True) == 2


def test_the_band_of_a_queue() -> None:
    queue = queue_of((1, "x", 2))
    assert (Queue().band(), queue.band(), queue.next_due()) == (None, 2, 30.0)
    queue.age(29.9)
    assert queue.band() == 2
    queue.age(30.0)
    assert (queue.band(), queue.next_due()) == (0, float("inf"))
    queue.remove(1, "x", 5.0)
    assert (queue.band(), len(queue)) == (None, 0)


def test_a_copy_changes_by_itself() -> None:
    queue = queue_of((1, "x", 1), (2, "y", 1))
    other = queue.copy()
    other.remove(1, "x", 5.0)
    other.age(99.0)
    assert (list(queue), list(other)) == ([1, 2], [2])
    assert queue.next_due() == 30.0


@given(
    st.lists(
        st.tuples(st.sampled_from("abcde"), st.integers(0, 9), st.sampled_from(["add", "grow", "remove"]))
    )
)
def test_a_ranking_is_sorted_by_the_numbers_of_now(operations: list[tuple[str, int, str]]) -> None:
    ranking = Ranking()
    numbers: dict[str, float] = {}
    for name, number, operation in operations:
        if operation == "add":
            numbers[name] = number
            ranking.add(name, number)
        elif operation == "grow" and name in numbers:
            numbers[name] += number
        else:
            numbers.pop(name, None)
            ranking.remove(name)
        assert len(ranking) == len(numbers)
        first = ranking.first(numbers.__getitem__)
        assert (first is None) == (not numbers)
        assert first is None or numbers[first] == min(numbers.values())


def test_equal_numbers_go_by_their_ties() -> None:
    ranking = Ranking()
    for name, tie in (("late", 9), ("early", 1), ("middle", 5)):
        ranking.add(name, 3.0, tie)
    assert ranking.first(lambda _: 3.0) == "early"
    assert (ranking.below(3.0), ranking.below(3.5)) == (0, 3)

"""Which jobs start, and what becomes of them."""

import pytest

from llmasos.models.scheduler.decisions import Refuse, Start, Stop
from llmasos.models.scheduler.draft import REMEMBERED
from llmasos.models.scheduler.events import Drained, Ended, Stalled, Stopped
from llmasos.models.scheduler.types import Card, Rules
from tests.models.scheduler.world import World, slots_of


def test_a_job_starts_when_its_model_is_there() -> None:
    world = World(Rules({"gpu": 100}), Card("a", "gpu", 50))
    job = world.submit()
    assert world.running == {}
    world.answer()
    assert list(world.running) == [job]


def test_no_more_jobs_than_slots() -> None:
    world = slots_of(slots=3)
    jobs = [world.submit(session=f"s{n}") for n in range(5)]
    assert list(world.running) == jobs[:3]
    world.end(jobs[1])
    assert list(world.running) == [jobs[0], jobs[2], jobs[3]]


def test_the_session_that_used_least_is_next() -> None:
    world = slots_of()
    running = world.submit(session="x", tokens=(500, 10))
    again = world.submit(session="x")
    other = world.submit(session="y", tokens=(400, 10))
    world.end(running)
    assert list(world.running) == [other]
    world.end(other)
    assert list(world.running) == [again]


def test_a_weight_makes_tokens_count_less() -> None:
    world = slots_of()
    running = world.submit(session="busy")
    world.submit(session="x", tokens=(400, 10), weight=4.0)
    world.submit(session="y", tokens=(400, 10))
    for _ in range(2):
        world.end(running)
        running = next(iter(world.running))
    sessions = world.state.sessions
    assert sessions["y"].counter - sessions["x"].counter == pytest.approx(300)


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf"), 1e-300])
def test_no_weight_breaks_the_order(weight: float) -> None:
    world = slots_of()
    for _ in range(3):
        world.submit(session="odd", tokens=(400, 10), weight=weight)
        world.submit(session="plain", tokens=(400, 10))
    world.calm()
    assert all(abs(session.counter) < 1e7 for session in world.state.sessions.values())
    assert set(world.done.values()) == {"ended"}


def test_output_counts_double() -> None:
    world = slots_of()
    job = world.submit(session="x", tokens=(10, 10))
    before = world.state.sessions["x"].counter
    world.write(job, tokens=7)
    assert world.state.sessions["x"].counter == before + 14


def test_idleness_saves_up_no_more_than_a_quantum() -> None:
    world = slots_of(quantum=256.0)
    job = world.submit(session="busy", tokens=(10, 5000))
    world.write(job, tokens=3000)
    world.submit(session="new")
    counter = world.state.sessions["busy"].counter
    assert world.state.sessions["new"].counter == counter - 256


def test_returning_resets_nothing() -> None:
    world = slots_of(slots=2)
    other = world.submit(session="y")
    job = world.submit(session="x")
    world.write(job, tokens=500)
    used = world.state.sessions["x"].counter
    world.end(job)
    world.submit(session="x", tokens=(0, 10))
    assert world.state.sessions["x"].counter == used
    assert other in world.running


def test_sessions_that_no_longer_matter_are_forgotten() -> None:
    world = slots_of()
    for n in range(50):
        job = world.submit(session=f"one-time {n}", tokens=(300, 10))
        world.end(job)
    assert len(world.state.sessions) < 10


def test_who_never_reads_does_not_make_all_others_be_remembered() -> None:
    world = slots_of(slots=2)
    world.send(Stalled(world.submit(session="asleep")))
    for n in range(REMEMBERED + 100):
        world.end(world.submit(session=f"one-time {n}", tokens=(300, 10)))
    assert len(world.state.sessions) <= REMEMBERED + 2


def test_jobs_that_cannot_be_preempted_leave_the_reserved_slot_empty() -> None:
    world = slots_of(slots=2)
    first = world.submit(session="x", preemptible=False)
    world.submit(session="x", preemptible=False)
    assert list(world.running) == [first]
    person = world.submit(session="p", band="interactive", preemptible=False)
    assert list(world.running) == [first, person]


def test_batch_is_served_under_a_flood_of_people() -> None:
    world = slots_of(age_seconds=30.0)
    batch = [world.submit(session="b", band="batch") for _ in range(3)]
    world.end(batch[0])
    starts = []
    waiting = [world.submit(session=f"p{n}", band="interactive") for n in range(2)]
    for n in range(40):
        world.pass_time(5.0)
        running = next(iter(world.running))
        waiting.append(world.submit(session=f"q{n}", band="interactive"))
        world.write(running, tokens=4)
        world.halt()
        if world.running == {running: "a"}:
            world.end(running)
        starts.append(next(iter(world.running)))
    assert {*batch[1:]} <= set(starts)


def test_who_stalls_while_waiting_waits_for_the_reader() -> None:
    world = slots_of()
    running = world.submit(session="x")
    stalled = world.submit(session="y")
    world.send(Stalled(stalled))
    world.end(running)
    assert not world.running
    world.send(Drained(stalled))
    assert list(world.running) == [stalled]


def test_cancelling_stops_what_runs_and_drops_what_waits() -> None:
    world = slots_of()
    running, waiting = world.submit(), world.submit()
    world.cancel(waiting)
    assert waiting not in world.state.jobs
    world.cancel(running)
    assert world.halting == {running: "stop"}
    world.cancel(running)
    world.halt()
    assert world.done == {1: "ended", waiting: "cancelled", running: "stopped"}


def test_what_ended_while_it_was_to_be_stopped_has_ended() -> None:
    world = slots_of()
    job = world.submit()
    world.cancel(job)
    world.end(job)
    assert world.state.jobs == {}
    assert world.send(Stopped(job)) == world.send(Ended(job)) == ()


def test_time_is_over_for_what_waits_and_for_what_runs() -> None:
    world = slots_of()
    running = world.submit(session="x", seconds=10.0)
    waiting = world.submit(session="x", seconds=5.0)
    assert world.wake == 5.0
    world.pass_time(5.0)
    assert world.refusals[waiting].status == 504
    assert "5 seconds" in world.refusals[waiting].reason
    world.pass_time(5.0)
    assert world.log[-1][2] == (Stop(running),)
    world.halt()
    assert world.state.jobs == {}
    assert world.state.deadlines == []


def test_no_time_at_all_is_over_at_once() -> None:
    world = slots_of()
    job = world.submit(seconds=0.0)
    assert isinstance(world.log[-1][2][0], Refuse)
    assert world.done[job] == "refused"


def test_events_of_jobs_that_are_not_there_change_nothing() -> None:
    world = slots_of()
    for event in (Ended(99), Stopped(99), Stalled(99), Drained(99)):
        assert world.send(event) == ()
    world.cancel(99)
    world.write(99)


def test_a_number_is_taken_once() -> None:
    world = slots_of()
    job = world.submit()
    event = next(event for event, _, effects in reversed(world.log) if Start(job) in effects)
    assert world.send(event) == ()
    assert world.state.sessions["s"].jobs == 1

"""Which running jobs give way to others."""

import pytest

from llmasos.models.scheduler.decisions import Preempt
from llmasos.models.scheduler.events import Drained, Stalled
from tests.models.scheduler.world import World, slots_of


def step(world: World) -> None:
    """Let every running job write a token, and those be stopped that have to."""
    world.write()
    world.halt()


@pytest.mark.parametrize(("slots", "sessions"), [(1, 1), (2, 1), (2, 2), (8, 1), (8, 3), (8, 8)])
@pytest.mark.parametrize("prompt", [5, 300])
def test_a_light_session_has_a_token_within_five_steps_of_a_flood(
    slots: int, sessions: int, prompt: int
) -> None:
    world = slots_of(slots=slots)
    for n in range(60):
        world.submit(session=f"flood {n % sessions}", tokens=(prompt, 2000))
    for _ in range(3):
        step(world)
    light = world.submit(session="light", tokens=(20, 20))
    for _ in range(5):
        step(world)
    assert world.state.jobs[light].written + world.state.jobs[light].kept > 0


def test_a_crowd_of_newcomers_does_not_preempt_one_another() -> None:
    world = slots_of(slots=2)
    for n in range(40):
        world.submit(session=f"agent {n}", tokens=(300, 100))
    for _ in range(40):
        step(world)
    assert not [effect for _, _, effects in world.log for effect in effects if isinstance(effect, Preempt)]


def test_a_more_urgent_job_takes_the_slot_of_another_and_gives_it_back() -> None:
    world = slots_of()
    batch = world.submit(session="b", band="batch")
    world.write(batch, tokens=4)
    person = world.submit(session="p", band="interactive")
    assert world.halting == {batch: "preempt"}
    world.halt()
    assert list(world.running) == [person]
    assert world.state.jobs[batch].kept == 4
    world.end(person)
    assert list(world.running) == [batch]


def test_a_job_that_has_just_started_is_left_alone() -> None:
    world = slots_of()
    batch = world.submit(session="b", band="batch")
    world.submit(session="p", band="interactive")
    assert not world.halting
    world.write(batch)
    assert not world.halting
    world.write(batch)
    assert world.halting == {batch: "preempt"}


def test_a_job_is_left_alone_for_longer_each_time_that_it_was_preempted() -> None:
    world = slots_of(quantum=256.0)
    batch = world.submit(session="b", band="batch", tokens=(10, 5000))
    lengths = []
    for _ in range(9):
        person = world.submit(session="p", band="interactive")
        written = 0
        while not world.halting:
            world.write(batch)
            written += 1
        world.halt()
        world.end(person)
        lengths.append(written)
    assert lengths == [2, 4, 8, 16, 32, 64, 128, 128, 128]


def test_what_cannot_be_preempted_is_not() -> None:
    world = slots_of()
    batch = world.submit(session="b", band="batch", preemptible=False)
    world.write(batch, tokens=500)
    world.submit(session="p", band="interactive")
    assert not world.halting


def test_who_declines_to_be_preempted_is_not_asked_again() -> None:
    world = slots_of(slots=2)
    first = world.submit(session="x", band="batch")
    second = world.submit(session="y", band="batch")
    world.write(tokens=10)
    world.submit(session="p", band="interactive")
    (declining,) = world.halting
    world.decline(declining)
    assert list(world.halting) == [first if declining == second else second]
    assert declining in world.running


def test_the_least_urgent_gives_way() -> None:
    world = slots_of(slots=3, reserve=0)
    jobs = [world.submit(session=band, band=band) for band in ("normal", "batch", "interactive")]
    world.write(tokens=10)
    world.submit(session="p", band="interactive")
    assert list(world.halting) == [jobs[1]]


def test_a_reserved_slot_is_free_for_a_person_at_once() -> None:
    world = slots_of(slots=2)
    jobs = [world.submit(session=f"s{n}") for n in range(2)]
    person = world.submit(session="p", band="interactive")
    assert list(world.halting) == jobs[1:]
    world.halt()
    assert person in world.running
    world.submit(session="q", band="interactive")
    assert not world.halting


def test_who_waited_long_is_safe_from_people_only_at_first() -> None:
    world = slots_of(age_seconds=30.0, quantum=256.0)
    running = world.submit(session="p", band="interactive")
    batch = world.submit(session="b", band="batch")
    world.pass_time(30.0)
    while batch not in world.running:
        world.submit(session="p", band="interactive")
        world.end(running)
        (running,) = world.running
    world.submit(session="p", band="interactive")
    world.write(batch, tokens=15)
    assert not world.halting
    world.write(batch)
    assert world.halting == {batch: "preempt"}


def test_slow_readers_give_up_their_slot_and_come_back() -> None:
    world = slots_of()
    slow = world.submit(session="x")
    world.write(slow, tokens=3)
    world.send(Stalled(slow))
    assert not world.halting
    other = world.submit(session="y")
    assert world.halting == {slow: "preempt"}
    world.halt()
    assert list(world.running) == [other]
    world.end(other)
    assert not world.running
    world.send(Drained(slow))
    assert list(world.running) == [slow]
    assert world.state.jobs[slow].kept == 3


def test_cancelling_what_is_being_preempted_stops_it_for_good() -> None:
    world = slots_of()
    batch = world.submit(session="b", band="batch")
    world.write(batch, tokens=4)
    person = world.submit(session="p", band="interactive")
    world.cancel(batch)
    assert world.halting == {batch: "stop"}
    world.halt()
    assert world.done[batch] == "stopped"
    assert list(world.running) == [person]

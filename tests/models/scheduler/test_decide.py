"""Decisions as a whole: time, order, and what they leave alone."""

from llmasos.models.scheduler.decide import decide
from llmasos.models.scheduler.decisions import Load, Start, Wake
from llmasos.models.scheduler.events import Asked, Loaded, Registered, Submitted, Tick
from llmasos.models.scheduler.state import State
from llmasos.models.scheduler.types import Card, Client, Job, Rules
from tests.models.scheduler.world import World, frozen


def test_from_nothing_to_a_started_job() -> None:
    state, effects = decide(State.of(Rules({"cpu": 100})), Registered(Card("a", "cpu", 60)), 0.0)
    assert effects == ()
    state, effects = decide(state, Submitted(Job(1, "a", Client("s"), 10, 20)), 1.0)
    assert effects == (Load("a"), Wake(31.0))
    assert (state.waiting(), state.waiting("a"), state.used("cpu")) == (1, 1, 60)
    state, effects = decide(state, Loaded("a", 60, 2.0), 3.0)
    assert effects == (Start(1),)
    assert (state.waiting(), state.models["a"].running) == (0, (1,))


def test_the_state_that_was_passed_in_stays_as_it_was() -> None:
    before, _ = decide(State.of(Rules({"cpu": 100})), Registered(Card("a", "cpu", 60)), 0.0)
    known = frozen(before)
    after, _ = decide(before, Submitted(Job(1, "a", Client("s"), 10, 20)), 1.0)
    assert frozen(before) == known != frozen(after)


def test_time_alone_changes_nothing_before_the_wake() -> None:
    world = World(Rules({"gpu": 60}), Card("a", "gpu", 60), Card("b", "gpu", 60))
    world.submit("a")
    world.answer()
    world.submit("b", seconds=50.0)
    assert world.wake == 15.0
    world.now = 14.99
    assert world.send(Tick()) == (Wake(15.0),)


def test_without_anything_to_wait_for_there_is_no_wake() -> None:
    world = World(Rules({"gpu": 60}), Card("a", "gpu", 60))
    job = world.submit("a")
    world.answer()
    world.end(job)
    assert world.wake is None


def test_wishes_for_models_that_are_not_there_are_nothing() -> None:
    world = World(Rules({"gpu": 60}))
    assert world.send(Asked("typo", "load")) == ()


def test_thousands_wait_and_all_are_served() -> None:
    world = World(Rules({"gpu": 100}, queue=3000), *(Card(n, "gpu", 60, slots=8) for n in "ab"))
    jobs = [world.submit("ab"[n % 2], f"session {n}") for n in range(2000)]
    world.calm(10_000)
    assert [world.done[job] for job in jobs] == ["ended"] * 2000

"""Where models lie: loads, failures, deaths, wishes."""

import pytest

from llmasos.models.scheduler.decisions import Load, Unload
from llmasos.models.scheduler.events import Asked, Loaded, LoadFailed, Measured, Parked, Registered, Unloaded
from llmasos.models.scheduler.types import Card, Rules
from tests.models.scheduler.world import World, phases, serve, world_of


def test_room_is_reserved_before_a_load() -> None:
    world = world_of()
    for model in "abc":
        world.submit(model)
    assert world.tasks == [Load("a"), Load("b")]
    assert world.state.used("gpu") == 90


def test_measured_bytes_replace_the_estimate() -> None:
    world = world_of()
    world.submit("a")
    world.answer(size=70, seconds=9.0)
    model = world.state.models["a"]
    assert (model.bytes, model.card.bytes, model.card.load_seconds) == (70, 70, 9.0)
    world.send(Measured("a", 65))
    assert world.state.used("gpu") == 65


def test_a_card_given_again_does_not_undo_the_measurement() -> None:
    world = world_of()
    serve(world, "a")
    world.send(Measured("a", 65))
    world.send(Registered(world.state.models["a"].registered))
    assert world.state.models["a"].card.bytes == 65


def test_what_takes_more_than_it_may_goes_when_idle() -> None:
    world = world_of()
    serve(world, "a", "b", "b", "b")
    world.send(Measured("b", 80))
    assert world.tasks == [Unload("a")]
    world.answer()
    assert phases(world)["b"] == "resident"


def test_a_model_that_takes_more_than_it_should_stays_alone_and_comes_back() -> None:
    world = world_of()
    serve(world, "a")
    world.send(Measured("a", 130))
    assert phases(world)["a"] == "resident"
    serve(world, "b")
    assert phases(world)["a"] == "absent"
    serve(world, "a")
    assert phases(world) == {"a": "resident", "b": "absent", "c": "absent"}


def test_nothing_is_loaded_while_more_is_taken_than_may_be() -> None:
    world = world_of()
    job = world.submit("a")
    world.answer(size=120)
    assert job in world.running
    world.submit("b")
    assert world.tasks == []
    world.end(job)
    assert world.tasks == [Unload("a")]
    world.answer()
    assert world.tasks == [Load("b")]


def test_out_of_memory_costs_one_more_model_and_is_tried_once_more() -> None:
    world = world_of(Card("a", "gpu", 30), Card("b", "gpu", 30), Card("c", "gpu", 30))
    serve(world, "a", "b")
    job = world.submit("c")
    world.answer("memory")
    assert world.tasks == [Unload("a")]
    world.answer()
    assert world.tasks == [Load("c")]
    world.answer("memory")
    assert (world.refusals[job].status, world.refusals[job].retry_after) == (503, 1.0)
    assert "it broke" in world.refusals[job].reason
    assert phases(world) == {"a": "absent", "b": "resident", "c": "absent"}


def test_out_of_memory_with_nothing_to_evict_is_final() -> None:
    world = world_of()
    job = world.submit("a")
    world.answer("memory")
    assert world.done[job] == "refused"


def test_a_device_is_believed_again_after_a_while() -> None:
    world = world_of(Card("a", "gpu", 30), Card("b", "gpu", 30))
    serve(world, "a")
    job = world.submit("b")
    world.answer("memory")
    assert world.tasks == [Unload("a")]
    world.answer()
    world.answer()
    world.end(job)
    world.submit("a")
    assert world.tasks == [Unload("b")]
    world.answer()
    assert world.tasks == [Load("a")]
    world.answer()
    world.end(3)
    world.pass_time(61.0)
    world.submit("b")
    assert world.tasks == [Load("b")]


def test_a_failed_load_refuses_the_waiters_and_pauses() -> None:
    world = world_of()
    jobs = [world.submit("a", session=f"s{n}") for n in range(3)]
    world.answer("other")
    assert {world.refusals[job].status for job in jobs} == {503}
    later = world.submit("a")
    assert world.refusals[later].retry_after == 1.0
    world.pass_time(1.5)
    again = world.submit("a")
    assert world.tasks == [Load("a")]
    world.answer("other")
    assert world.refusals[again].retry_after == 2.0


def test_the_dead_model_returns_and_its_other_jobs_wait() -> None:
    world = world_of()
    jobs = [world.submit("a") for _ in range(3)]
    world.answer()
    world.die("a")
    assert world.tasks == [Load("a")]
    assert world.state.models["a"].bytes == 50
    for job in jobs[:2]:
        world.end(job)
    world.answer()
    assert list(world.running) == jobs[2:]


def test_who_keeps_dying_pauses_for_longer() -> None:
    world = world_of()
    pauses = []
    for _ in range(9):
        job = world.submit("a")
        world.answer()
        world.die("a")
        world.end(job)
        pauses.append(world.state.models["a"].retry_at - world.now)
        world.pass_time(pauses[-1])
    assert pauses == [0, 2, 4, 8, 16, 32, 60, 60, 60]
    world.pass_time(400.0)
    job = world.submit("a")
    world.answer()
    world.die("a")
    assert world.state.models["a"].retry_at == world.now


def test_jobs_wait_for_the_end_of_such_a_pause() -> None:
    world = world_of()
    for _ in range(2):
        job = world.submit("a")
        world.answer()
        world.die("a")
        world.end(job)
    job = world.submit("a")
    assert (world.tasks, world.wake) == ([], 2.0)
    world.calm()
    assert world.done[job] == "ended"


def test_asked_for_models_are_loaded() -> None:
    world = world_of()
    world.send(Asked("a", "load"))
    assert world.tasks == [Load("a")]
    assert world.state.models["a"].wanted
    world.answer()
    model = world.state.models["a"]
    assert (model.phase, model.wanted, model.problem) == ("resident", False, "")


def test_a_wish_that_fails_says_why() -> None:
    world = world_of(Card("a", "gpu", 50), Card("huge", "gpu", 500))
    world.send(Asked("a", "load"))
    world.answer("other")
    assert not world.state.models["a"].wanted
    assert "it broke" in world.state.models["a"].problem
    world.send(Asked("huge", "pin"))
    assert not world.state.models["huge"].wanted
    assert not world.state.models["huge"].pinned
    assert "What fits: a." in world.state.models["huge"].problem


def test_a_wish_ends_the_pause_after_a_failure() -> None:
    world = world_of()
    world.submit("a")
    world.answer("other")
    world.send(Asked("a", "load"))
    assert world.tasks == [Load("a")]


def test_unloading_lets_run_what_runs_and_is_not_undone_by_who_waits() -> None:
    world = world_of(Card("a", "gpu", 50, slots=2))
    jobs = [world.submit("a", preemptible=False)]
    world.answer()
    jobs.append(world.submit("a"))
    waiting = world.submit("a")
    world.send(Asked("a", "unload"))
    assert world.halting == {}
    assert waiting not in world.state.jobs
    for job in jobs:
        assert world.tasks == []
        world.end(job)
    assert world.tasks == [Unload("a")]
    world.answer()
    assert world.tasks == []
    assert phases(world)["a"] == "absent"


def test_unloading_takes_back_a_pin() -> None:
    world = world_of()
    world.send(Asked("a", "pin"))
    world.answer()
    world.send(Asked("a", "unload"))
    assert world.tasks == [Unload("a")]
    assert not world.state.models["a"].pinned


@pytest.mark.parametrize("phase", ["loading", "parking", "parked"])
def test_unloading_reaches_a_model_wherever_it_is(phase: str) -> None:
    world = world_of(host=100)
    world.send(Asked("a", "load"))
    if phase != "loading":
        world.answer()
        world.submit("c")
        if phase == "parked":
            world.answer()
            world.answer()
    assert phases(world)["a"] == phase
    world.send(Asked("a", "unload"))
    while world.tasks:
        world.answer()
    assert phases(world)["a"] == "absent"
    assert world.state.host_used == 0


def test_unloading_reaches_a_model_that_finds_no_room_on_its_way_back() -> None:
    world = world_of(host=100)
    world.send(Asked("a", "load"))
    world.answer()
    other = world.submit("c")
    world.answer()
    world.answer()
    world.end(other)
    world.send(Asked("a", "load"))
    while phases(world)["a"] != "loading":
        world.answer()
    world.send(Asked("a", "unload"))
    world.answer("memory")
    assert world.tasks == [Unload("a")]
    world.answer()
    assert phases(world)["a"] == "absent" and world.state.host_used == 0


def test_a_model_is_let_go_when_it_was_not_used_for_its_time() -> None:
    world = world_of(Card("a", "gpu", 50, keep_alive=60.0))
    serve(world, "a")
    assert world.wake == world.now + 60
    world.pass_time(59.0)
    assert world.tasks == []
    world.pass_time(1.0)
    assert world.tasks == [Unload("a")]


def test_a_model_in_use_or_pinned_is_not() -> None:
    world = world_of(Card("a", "gpu", 50, keep_alive=60.0), Card("b", "gpu", 50, keep_alive=60.0))
    world.submit("a")
    world.answer()
    world.send(Asked("b", "pin"))
    world.answer()
    world.pass_time(100.0)
    assert world.tasks == []


def test_a_model_moves_to_another_device_only_when_it_is_loaded_anew() -> None:
    world = World(Rules({"gpu": 100, "cpu": 100}), Card("a", "gpu", 50))
    serve(world, "a")
    world.send(Registered(Card("a", "cpu", 50)))
    assert (world.state.used("gpu"), world.state.used("cpu")) == (50, 0)
    world.send(Asked("a", "unload"))
    world.answer()
    world.submit("a")
    assert (world.state.used("gpu"), world.state.used("cpu")) == (0, 50)


def test_answers_that_nobody_waits_for_change_nothing() -> None:
    world = world_of()
    world.submit("a")
    before = phases(world)
    for event in (
        Loaded("b", 10, 1.0),
        Parked("a", 10),
        LoadFailed("b", "no"),
        Unloaded("a"),
        Loaded("z", 1, 1),
    ):
        world.send(event)
    world.die("a")
    assert phases(world) == before

"""Which models are loaded, and which ones leave for them."""

from dataclasses import replace

import pytest

from llmasos.models.scheduler.decisions import Load, Park, Unload
from llmasos.models.scheduler.events import Asked, Stalled
from llmasos.models.scheduler.types import Card, Rules
from tests.models.scheduler.world import World, phases, serve, world_of


def busy(world: World, *models: str) -> None:
    """Let each model be in use, with more waiting."""
    for model in models:
        for _ in range(4):
            world.submit(model, session=model)
        while world.tasks:
            world.answer()


def test_models_stay_together_while_there_is_room() -> None:
    world = world_of()
    serve(world, "a", "b")
    assert phases(world) == {"a": "resident", "b": "resident", "c": "absent"}


def test_the_idle_model_that_is_worth_least_goes() -> None:
    world = world_of(Card("a", "gpu", 30), Card("b", "gpu", 30, load_seconds=20.0), Card("c", "gpu", 60))
    serve(world, "b", "a", "a", "a")
    for name, seconds in (("a", 1.0), ("b", 20.0)):
        model = world.state.models[name]
        world.state.models[name] = replace(model, card=replace(model.card, load_seconds=seconds))
    world.submit("c")
    assert world.tasks == [Unload("a")]


def test_demand_counts_half_after_a_while() -> None:
    world = world_of(Card("a", "gpu", 50), Card("b", "gpu", 50), Card("c", "gpu", 50))
    serve(world, "a", "a", "a")
    world.pass_time(1200.0)
    serve(world, "b", "c")
    assert phases(world) == {"a": "absent", "b": "resident", "c": "resident"}


def test_no_more_models_go_than_have_to() -> None:
    world = world_of(Card("a", "gpu", 10), Card("b", "gpu", 80), Card("c", "gpu", 60))
    serve(world, "a", "b")
    world.submit("c")
    assert world.tasks == [Unload("b")]


def test_a_model_is_not_evicted_before_it_served_those_it_was_loaded_for() -> None:
    world = world_of(Card("a", "gpu", 60), Card("b", "gpu", 60))
    job = world.submit("a")
    world.submit("b")
    world.answer()
    assert list(world.running) == [job]
    assert world.tasks == []
    world.end(job)
    assert world.tasks == [Unload("a")]


def test_a_model_in_use_leaves_after_the_bound_and_returns() -> None:
    world = world_of()
    busy(world, "a", "b")
    running = [job for job, model in world.running.items() if model == "a"]
    third = world.submit("c", session="third")
    world.pass_time(14.9)
    assert not world.halting
    world.pass_time(0.1)
    assert set(running) <= set(world.halting)
    while third not in world.running:
        world.halt()
        world.answer()
    assert phases(world)["c"] == "resident"
    world.end(third)
    while world.tasks:
        world.answer()
    assert phases(world)["a"] == "resident"
    assert set(running) <= set(world.running)


def test_jobs_end_by_themselves_while_that_is_cheaper_than_reading_them_again() -> None:
    world = world_of(Card("a", "gpu", 60, slots=2), Card("c", "gpu", 60))
    short, long = world.submit("a"), world.submit("a")
    world.answer()
    world.pass_time(4.0)
    world.write(short, long)
    world.submit("c")
    world.pass_time(15.0)
    # 20 tokens were read in 4 seconds; 22 would have to be now.
    assert not world.halting
    late = world.submit("a")
    world.end(short)
    assert late not in world.running
    world.pass_time(4.3)
    assert not world.halting
    world.pass_time(0.11)
    assert world.halting == {long: "preempt"}


def test_slow_reading_does_not_keep_others_out_for_more_than_the_bound_again() -> None:
    world = world_of(Card("a", "gpu", 60), Card("c", "gpu", 60))
    job = world.submit("a")
    world.answer()
    world.pass_time(100.0)
    world.write(job)
    world.submit("c")
    world.pass_time(15.0)
    assert world.wake == 130.0
    world.pass_time(15.0)
    assert world.halting


def test_tokens_are_kept_by_those_who_have_to_leave() -> None:
    world = world_of(Card("a", "gpu", 60), Card("c", "gpu", 60))
    job = world.submit("a")
    world.answer()
    world.write(job, tokens=5)
    world.submit("c")
    world.pass_time(15.0)
    world.halt()
    assert world.state.jobs[job].kept == 5


def test_nothing_starts_on_a_model_that_leaves() -> None:
    world = world_of(Card("a", "gpu", 60, slots=2), Card("c", "gpu", 60))
    job = world.submit("a", preemptible=False)
    world.answer()
    world.submit("c")
    world.pass_time(15.0)
    late = world.submit("a")
    assert late not in world.running
    world.end(job)
    assert world.tasks == [Unload("a")]


def test_a_model_stays_when_nobody_needs_its_room_any_more() -> None:
    world = world_of(Card("a", "gpu", 60, slots=2), Card("c", "gpu", 60))
    job = world.submit("a", preemptible=False)
    world.answer()
    third = world.submit("c")
    world.pass_time(15.0)
    late = world.submit("a")
    world.cancel(third)
    assert list(world.running) == [job, late]


def test_batch_jobs_displace_people_only_when_they_have_waited_long() -> None:
    world = world_of(Card("a", "gpu", 60), Card("c", "gpu", 60))
    world.submit("a", band="interactive")
    world.answer()
    world.submit("c", band="batch")
    world.pass_time(29.0)
    assert not world.halting
    world.pass_time(1.0)
    assert world.halting


def test_people_displace_batch_jobs_that_had_their_time_at_once() -> None:
    world = world_of(Card("a", "gpu", 60), Card("c", "gpu", 60))
    world.submit("a", band="batch")
    world.answer()
    world.submit("c", band="interactive")
    world.pass_time(14.9)
    assert not world.halting
    world.cancel(2)
    world.pass_time(10.0)
    world.submit("c", band="interactive")
    assert world.halting


def test_a_model_that_only_waits_for_slow_readers_leaves_at_once() -> None:
    world = world_of(Card("a", "gpu", 60), Card("c", "gpu", 60))
    job = world.submit("a")
    world.answer()
    world.send(Stalled(job))
    world.submit("c")
    assert world.halting == {job: "preempt"}


def test_pinned_models_stay_and_are_named() -> None:
    world = world_of()
    world.send(Asked("a", "pin"))
    world.answer()
    job = world.submit("c")
    refusal = world.refusals[job]
    assert (refusal.status, refusal.retry_after) == (503, None)
    assert "pinned models leave 50 bytes of gpu: a. `llmasos models unpin`" in refusal.reason
    assert phases(world)["a"] == "resident"
    world.send(Asked("a", "unpin"))
    again = world.submit("c")
    assert world.tasks == [Unload("a")]
    assert again in world.state.jobs


def test_a_large_model_is_not_kept_out_by_small_ones() -> None:
    world = world_of(*(Card(name, "gpu", 30) for name in "pqr"), Card("large", "gpu", 90))
    busy(world, "p", "q")
    large = world.submit("large", session="large")
    world.submit("r", session="r")
    assert world.tasks == []
    world.pass_time(15.0)
    while large not in world.running:
        world.halt()
        if world.tasks:
            world.answer()
    assert phases(world)["large"] == "resident"


def test_the_most_urgent_model_is_loaded_first() -> None:
    world = world_of(*(Card(name, "gpu", 60) for name in "abc"))
    running = world.submit("a")
    world.answer()
    world.submit("b", band="batch")
    world.submit("c", band="interactive")
    world.end(running)
    world.answer()
    assert world.tasks == [Load("c")]


def test_devices_do_not_wait_for_one_another() -> None:
    world = World(Rules({"gpu": 50, "cpu": 50}), *(Card(n, d, 50) for n, d in (("a", "gpu"), ("b", "cpu"))))
    world.submit("a")
    world.submit("b")
    assert world.tasks == [Load("a"), Load("b")]


def test_models_are_parked_and_come_back_from_there() -> None:
    world = world_of(host=60)
    serve(world, "a")
    world.submit("c")
    assert world.tasks == [Park("a")]
    assert (world.state.used("gpu"), world.state.host_used) == (50, 50)
    world.answer()
    assert (world.state.used("gpu"), world.state.host_used) == (60, 50)
    world.answer()
    world.end(2)
    world.submit("a")
    assert world.tasks == [Unload("c")]
    world.answer()
    assert world.tasks == [Load("a", from_host=True)]
    world.answer()
    assert world.state.host_used == 0


@pytest.mark.parametrize("fails", ["memory", "other"])
def test_what_fails_to_come_back(fails: str) -> None:
    world = world_of(host=60)
    serve(world, "a", "c")
    assert phases(world)["a"] == "parked"
    job = world.submit("a")
    world.answer()
    world.answer(fails)
    assert world.done[job] == "refused"
    assert phases(world)["a"] == ("parked" if fails == "memory" else "absent")
    assert world.state.host_used == (50 if fails == "memory" else 0)


def test_what_is_worth_least_leaves_the_host() -> None:
    world = world_of(Card("a", "gpu", 60, 60), Card("b", "gpu", 60, 60), Card("c", "gpu", 60, 60), host=60)
    serve(world, "a", "b", "b", "b")
    assert phases(world) == {"a": "parked", "b": "resident", "c": "absent"}
    world.submit("c")
    assert world.tasks == [Unload("a")]
    world.answer()
    assert world.tasks == [Park("b")]


def test_what_is_worth_less_than_all_on_the_host_is_freed() -> None:
    world = world_of(Card("a", "gpu", 60, 60), Card("b", "gpu", 60, 60), Card("c", "gpu", 60, 60), host=60)
    serve(world, "a", "a", "a", "b")
    assert phases(world)["a"] == "parked"
    world.submit("c")
    assert world.tasks == [Unload("b")]


def test_parking_that_fails_frees_the_model() -> None:
    world = world_of(host=60)
    serve(world, "a")
    world.submit("c")
    world.answer("failed")
    assert (phases(world)["a"], world.state.host_used) == ("absent", 0)
    assert world.tasks == [Load("c")]

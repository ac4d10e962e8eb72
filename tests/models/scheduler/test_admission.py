"""Which jobs may wait, and what the others are told."""

import pytest

from llmasos.models.scheduler.decisions import Refuse
from llmasos.models.scheduler.types import Card, Rules
from tests.models.scheduler.world import World


def world_of(**rules: int) -> World:
    return World(
        Rules({"gpu": 100}, **rules),
        Card("small", "gpu", 30, context=1000),
        Card("large", "gpu", 2_000_000_000, context=1000),
        Card("elsewhere", "tpu", 10, context=1000),
    )


def refusal(world: World, **job: object) -> Refuse:
    return world.refusals[world.submit(**job)]  # type: ignore[arg-type]


def test_a_request_that_never_fits_is_told_by_how_much() -> None:
    found = refusal(world_of(), model="small", tokens=(900, 101))
    assert (found.status, found.retry_after) == (400, None)
    assert all(number in found.reason for number in ("900", "101", "1000"))


def test_a_request_that_just_fits_waits() -> None:
    world = world_of()
    assert world.submit("small", tokens=(900, 100)) in world.state.jobs


def test_an_unknown_model() -> None:
    found = refusal(world_of(), model="typo")
    assert (found.status, "typo" in found.reason) == (400, True)


def test_a_model_larger_than_its_device_is_refused_with_what_would_fit() -> None:
    found = refusal(world_of(), model="large")
    assert found.status == 400
    assert "2.0 GB" in found.reason
    assert "What fits: small." in found.reason


def test_a_model_for_a_device_that_is_not_there() -> None:
    found = refusal(world_of(), model="elsewhere")
    assert (found.status, "tpu" in found.reason) == (400, True)


def test_a_session_has_so_many_requests_waiting_and_no_more() -> None:
    world = world_of(session_queue=3)
    for _ in range(3):
        world.submit("small", session="x")
    found = refusal(world, model="small", session="x")
    assert found.status == 429
    assert found.retry_after is not None and found.retry_after >= 1
    assert world.submit("small", session="y") in world.state.jobs


def test_all_sessions_together_too() -> None:
    world = world_of(queue=3)
    for n in range(3):
        world.submit("small", session=f"s{n}")
    found = refusal(world, model="small", session="new")
    assert found.status == 503
    assert found.retry_after is not None


@pytest.mark.parametrize("pace", [2.0, 8.0])
def test_when_to_try_again_follows_from_the_measured_pace(pace: float) -> None:
    world = world_of(queue=10)
    jobs = [world.submit("small", session=f"s{n}") for n in range(10)]
    world.answer()
    for _ in range(30):
        world.pass_time(pace)
        world.end(next(iter(world.running)))
        jobs.append(world.submit("small", session=f"s{len(jobs)}"))
    world.submit("small", session="last")
    found = refusal(world, model="small", session="new")
    assert found.retry_after == pytest.approx(10 * pace, rel=0.05)

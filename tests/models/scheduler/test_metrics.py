"""What the scheduler measures."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import anyio
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from llmasos.models.engines.port import OutOfMemory
from llmasos.models.scheduler.metrics import Metrics
from llmasos.models.scheduler.tally import Tally
from llmasos.models.scheduler.types import Client, Refused
from tests.models.scheduler.slow import SIZE, ask, bench, until

pytestmark = pytest.mark.anyio


class Meter:
    """A meter whose measurements can be read."""

    def __init__(self) -> None:
        self.reader = InMemoryMetricReader()
        self.provider = MeterProvider([self.reader])
        self.now = 100.0
        self.metrics = Metrics(lambda: self.now, self.provider.get_meter("test"))

    def points(self, name: str) -> list[tuple[dict[str, Any], Any]]:
        """Return attributes and value of each point: a number, or count and sum."""
        data = self.reader.get_metrics_data()
        assert data is not None
        return [
            (
                dict(point.attributes or {}),
                point.value if hasattr(point, "value") else (point.count, point.sum),
            )
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]


def _value(point: Any) -> Any:
    return point.value if hasattr(point, "value") else (point.count, point.sum)


@pytest.fixture
def meter() -> Iterator[Meter]:
    meter = Meter()
    yield meter
    meter.provider.shutdown()


async def test_a_request_is_measured_in_the_words_of_the_conventions(meter: Meter) -> None:
    async with bench("a", metrics=meter.metrics) as it:
        await it.read("a", 5, Client(session="s", band="batch"))
        who = {"gen_ai.request.model": "a", "llmasos.band": "batch"}
        what = {**who, "gen_ai.operation.name": "chat", "gen_ai.provider.name": "llmasos"}
        for name in (
            "gen_ai.server.request.duration",
            "gen_ai.server.time_to_first_token",
            "gen_ai.server.time_per_output_token",
        ):
            (point,) = meter.points(name)
            assert point[0] == what and point[1][0] == 1 and point[1][1] >= 0
        assert {
            (p["gen_ai.token.type"], value) for p, value in meter.points("gen_ai.client.token.usage")
        } == {
            ("input", (1, 1)),
            ("output", (1, 5)),
        }
        assert meter.points("llmasos.models.tokens") == [(who, 5)]
        assert meter.points("llmasos.models.queue.length") == [(who, 0)]
        assert meter.points("llmasos.models.running") == [(who, 0)]
        assert meter.points("llmasos.models.queue.time")[0][1][0] == 1
        place = {"gen_ai.request.model": "a", "llmasos.device": "sim"}
        assert meter.points("llmasos.models.memory.used") == [(place, SIZE)]
        assert meter.points("llmasos.models.loads") == [(place, 1)]


async def test_who_waits_and_who_runs_is_counted(meter: Meter) -> None:
    async with bench("a", metrics=meter.metrics) as it:
        it.loader.held = True
        one, two = (it.scheduler.stream("a", ask(2), Client(session=name)) for name in "xy")

        def counts() -> tuple[int, int]:
            return (
                sum(value for _, value in meter.points("llmasos.models.queue.length")),
                sum(value for _, value in meter.points("llmasos.models.running")),
            )

        async with anyio.create_task_group() as group:
            group.start_soon(anext, one)
            group.start_soon(anext, two)
            await until(lambda: it.loader.engines and it.loader.last("a").running)
            assert counts() == (1, 1)
            it.loader.last("a").free = True
            it.loader.last("a").allow()
        await one.aclose()
        await two.aclose()
        assert counts() == (0, 0)


async def test_errors_refusals_and_evictions_are_counted(meter: Meter) -> None:
    async with bench("a", "b", budget=SIZE, metrics=meter.metrics) as it:
        await it.read("a", 1)
        await it.read("b", 1)
        it.loader.last("b").faults["step"] = OutOfMemory("No room.")
        with pytest.raises(OutOfMemory):
            await it.read("b", 1)
        with pytest.raises(Refused):
            await it.read("a", 5000)
        errors = [p.get("error.type") for p, _ in meter.points("gen_ai.server.request.duration")]
        assert errors.count("OutOfMemory") == 1
        (refusal,) = meter.points("llmasos.models.refusals")
        assert refusal[0]["http.response.status_code"] == 400 and refusal[1] == 1
        (eviction,) = meter.points("llmasos.models.evictions")
        assert eviction == ({"gen_ai.request.model": "a", "llmasos.device": "sim"}, 1)
        used = {p["gen_ai.request.model"]: value for p, value in meter.points("llmasos.models.memory.used")}
        assert used == {"a": 0, "b": SIZE}


async def test_a_model_that_nobody_used_for_its_time_was_not_evicted() -> None:
    async with bench("a") as it:
        card = replace(it.scheduler.effects.residents["a"].card, keep_alive=0.0)
        it.scheduler.register(card, it.scheduler.effects.residents["a"].plan)
        await it.read("a", 1)
        await until(lambda: it.scheduler.effects.residents["a"].place == "absent")
        (model,) = it.scheduler.top().models
        assert (model.loads, model.evictions) == (1, 0)


async def test_top_shows_devices_models_and_sessions() -> None:
    async with bench("a", "b", slots=2) as it:
        await it.read("a", 4)
        it.loader.held = True
        stream = it.scheduler.stream("b", ask(2), Client(session="s", band="interactive"))
        async with anyio.create_task_group() as group:
            group.start_soon(anext, stream)
            await until(lambda: len(it.loader.engines) == 2 and it.loader.last("b").running)
            top = it.scheduler.top()
            it.loader.last("b").allow()
        await stream.aclose()
    (device,) = top.devices
    assert (device.name, device.budget, device.used, device.free) == ("sim", 10 * SIZE, 2 * SIZE, 8 * SIZE)
    assert top.host.free is not None and top.host.free > 0
    a, b = top.models
    assert (a.name, a.state, a.running, a.waiting, a.loads, a.slots) == ("a", "resident", 0, 0, 1, 2)
    assert a.first_token is not None and a.idle is not None and a.tokens_per_second > 0
    assert (b.state, b.running) == ("resident", 1)
    (session,) = top.sessions
    assert (session.id, session.band, session.running, session.share) == ("s", "interactive", 1, 1.0)


def test_averages_move() -> None:
    tally = Tally()
    assert (tally.wait(0.5), tally.rate(0), tally.first_seconds) == (0.0, 0.0, None)
    for seconds in range(100):
        tally.waited(seconds)
    assert (tally.wait(0.5), tally.wait(0.9), tally.wait(1.0)) == (50, 90, 99)
    for _ in range(300):
        tally.waited(7)
    assert tally.wait(0.9) == 7
    tally.wrote(40, now=100.0)
    tally.wrote(60, now=105.0)
    assert tally.rate(105.0) == 10.0
    assert tally.rate(111.0) == 6.0
    assert tally.rate(200.0) == 0.0
    tally.first(1.0)
    tally.first(2.0)
    assert tally.first_seconds == pytest.approx(1.2)

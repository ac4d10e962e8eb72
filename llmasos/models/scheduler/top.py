"""What `llmasos models top` shows: devices, models and sessions, as they stand now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel

from llmasos.models.devices.cpu import CpuDevice
from llmasos.models.devices.port import Device
from llmasos.models.scheduler.metrics import Metrics
from llmasos.models.scheduler.queue import BANDS
from llmasos.models.scheduler.resident import Place
from llmasos.models.scheduler.state import ModelState, State
from llmasos.models.scheduler.types import Band


class DeviceTop(BaseModel, frozen=True):
    """A device's memory, in bytes.

    Args:
        name: Its name.
        title: What it is.
        budget: What models may take.
        used: What the scheduler counts for models, those being loaded included.
        free: What is free by measurement; None where it cannot be measured.
    """

    name: str
    title: str = ""
    budget: int = 0
    used: int = 0
    free: int | None = None


class ModelTop(BaseModel, frozen=True):
    """One model.

    Args:
        name: Its name.
        device: The device it is loaded on.
        state: Where it is.
        bytes: What it takes there, or would take.
        pinned: Whether it is never evicted to make room.
        slots: Requests that it runs at once.
        running: Requests that run.
        waiting: Requests that wait.
        wait_p50: Seconds that half of the last requests waited at most.
        wait_p90: Seconds that nine tenths of them waited at most.
        first_token: Average seconds to the first token; None before any.
        tokens_per_second: Tokens written in a second, over all requests of the last ten seconds.
        loads: How often it was made resident.
        evictions: How often it had to leave its device.
        idle: Seconds since it last wrote something; None before it did.
    """

    name: str
    device: str
    state: Place
    bytes: int = 0
    pinned: bool = False
    slots: int = 1
    running: int = 0
    waiting: int = 0
    wait_p50: float = 0.0
    wait_p90: float = 0.0
    first_token: float | None = None
    tokens_per_second: float = 0.0
    loads: int = 0
    evictions: int = 0
    idle: float | None = None


class SessionTop(BaseModel, frozen=True):
    """Who asks.

    Args:
        id: The session.
        band: The most urgent band of its requests.
        share: Its part of all that the sessions shown here have used, between 0 and 1.
        running: Its requests that run.
        waiting: Its requests that wait.
    """

    id: str
    band: Band
    share: float = 0.0
    running: int = 0
    waiting: int = 0


class EndpointTop(BaseModel, frozen=True):
    """One of the places where a model runs elsewhere.

    Args:
        url: Its base URL.
        state: Whether it is asked; `unchecked` where only requests find out whether it works.
        outstanding: Requests that it works on.
        reason: Why it failed last, or empty.
        requests: Replies that were made there.
        tokens: Tokens that were read and written for them.
        cost: What that costs by the prices of the settings; None where the model has none.
    """

    url: str
    state: Literal["healthy", "ejected", "draining", "unchecked"]
    outstanding: int = 0
    reason: str = ""
    requests: int = 0
    tokens: int = 0
    cost: float | None = None


class RemoteTop(BaseModel, frozen=True):
    """A model that runs elsewhere."""

    name: str
    endpoints: tuple[EndpointTop, ...] = ()


class Top(BaseModel, frozen=True):
    """Everything at one moment; `host` is the memory of models that were moved off their device."""

    devices: tuple[DeviceTop, ...] = ()
    host: DeviceTop = DeviceTop(name="host")
    models: tuple[ModelTop, ...] = ()
    sessions: tuple[SessionTop, ...] = ()
    remotes: tuple[RemoteTop, ...] = ()
    draining: bool = False


def survey(state: State, devices: Sequence[Device], metrics: Metrics, now: float, *, draining: bool) -> Top:
    """Return how everything stands.

    Args:
        state: The scheduler's state.
        devices: The devices that it shares.
        metrics: What was measured.
        now: The time of the scheduler's clock.
        draining: Whether no new requests are taken.
    """
    return Top(
        devices=tuple(
            DeviceTop(
                name=device.name,
                title=device.title,
                budget=device.budget,
                used=state.used(device.name),
                free=device.free(),
            )
            for device in devices
        ),
        host=DeviceTop(
            name="host",
            title="Models moved off their device",
            budget=state.rules.host_budget,
            used=state.host_used,
            free=CpuDevice(1).free(),
        ),
        models=tuple(_model(model, state, metrics, now) for model in state.models.values()),
        sessions=_sessions(state),
        draining=draining,
    )


def _model(model: ModelState, state: State, metrics: Metrics, now: float) -> ModelTop:
    tally = metrics.tallies[model.name]
    return ModelTop(
        name=model.name,
        device=model.card.device,
        state=model.phase,
        bytes=model.bytes or model.host_bytes or model.card.bytes,
        pinned=model.pinned,
        slots=model.card.slots,
        running=len(model.running),
        waiting=state.waiting(model.name),
        wait_p50=tally.wait(0.5),
        wait_p90=tally.wait(0.9),
        first_token=tally.first_seconds,
        tokens_per_second=tally.rate(now),
        loads=tally.loads,
        evictions=tally.evictions,
        idle=None if tally.last_used is None else now - tally.last_used,
    )


def _sessions(state: State) -> tuple[SessionTop, ...]:
    bands: dict[str, Band] = {}
    for job in state.jobs.values():
        client = job.job.client
        bands[client.session] = min(
            client.band, bands.get(client.session, client.band), key=BANDS.__getitem__
        )
    busy = {name: state.sessions[name] for name in bands}
    total = sum(session.counter for session in busy.values()) or 1.0
    return tuple(
        SessionTop(
            id=name,
            band=bands[name],
            share=session.counter / total,
            running=session.running,
            waiting=session.waiting,
        )
        for name, session in busy.items()
    )

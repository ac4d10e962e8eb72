"""How the models of the catalog are loaded on this machine, and what the scheduler is told of them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from llmasos.config import ModelSettings, Settings
from llmasos.errors import ModelError
from llmasos.models.catalog.estimate import footprint_of, guess, largest_that_fits
from llmasos.models.catalog.header import read_header
from llmasos.models.catalog.profile import Profile, recognise
from llmasos.models.catalog.spec import ModelSpec
from llmasos.models.devices import memory
from llmasos.models.devices.port import Device
from llmasos.models.engines.port import Footprint, LoadPlan
from llmasos.models.scheduler.types import Card, Rules

_MIB = 1024 * 1024
# A load reads this many bytes in a second, until it was measured.
_LOAD_RATE = 500e6
_GPU_SLOTS = 16
_BATCHED_SLOTS = 4
_HOST_PART = 0.25


@dataclass(frozen=True)
class Planned:
    """A model whose files are here.

    Args:
        spec: The model.
        plan: How it is loaded.
        card: What the scheduler is told.
        profile: How it is driven.
    """

    spec: ModelSpec
    plan: LoadPlan
    card: Card
    profile: Profile


def adapted(settings: ModelSettings, name: str) -> tuple[str, str]:
    """Return the model and the adapter that a name such as `model:adapter` means; most mean no adapter."""
    model, _, adapter = name.rpartition(":")
    known = adapter in settings.adapters.get(model, {})
    return (model, adapter) if known else (name, "")


def plan_model(spec: ModelSpec, path: Path, settings: Settings, devices: Mapping[str, Device]) -> Planned:
    """Plan how a model is loaded: on the GPU where there is one and its format can use it, within its budget.

    Args:
        spec: The model.
        path: Its file or folder.
        settings: The configuration.
        devices: The devices by name, the preferred one first.
    """
    device = next(iter(devices)) if spec.format == "safetensors" else "cpu"
    plan = LoadPlan(
        name=spec.name,
        path=path,
        format=spec.format,
        fingerprint=spec.sha256 or _fingerprint(path),
        cache_dir=settings.cache_dir,
        context=min(settings.model_context, spec.context),
        slots=settings.models.slots or _slots(spec.format, device),
        threads=settings.model_threads,
        device=device,
        dtype=settings.models.dtype,
        adapters=tuple(sorted(settings.models.adapters.get(spec.name, {}).items())),
    )
    try:
        header = read_header(path)
        plan = largest_that_fits(plan, devices[device].budget) or plan
        footprint, profile = footprint_of(header, plan), recognise(header.traits)
    except ModelError:
        # What is wrong with the files is said by the load.
        footprint, profile = Footprint(weights=guess(spec.size)), Profile()
    card = _card(plan, footprint, settings.models)
    if replicas := settings.models.replicas.get(spec.name, 0):
        # The cluster knows where they fit.
        card = replace(card, slots=replicas * plan.slots, bytes=0, host_bytes=0)
    return Planned(spec, plan, card, profile)


def rules_of(settings: ModelSettings, devices: Mapping[str, Device]) -> Rules:
    """Return the scheduler's rules; models that leave a GPU may fill a quarter of the host's memory."""
    host = settings.host_memory_mb * _MIB
    if not host and any(name != "cpu" for name in devices):
        host = int(memory.total() * _HOST_PART)
    return Rules(
        host_budget=host,
        queue=settings.queue,
        session_queue=settings.session_queue,
        drain_seconds=settings.wait_seconds,
    )


def _card(plan: LoadPlan, footprint: Footprint, settings: ModelSettings) -> Card:
    return Card(
        model=plan.name,
        device=plan.device,
        bytes=footprint.total,
        # The memory of a CPU is the host's.
        host_bytes=footprint.weights if plan.device != "cpu" else 0,
        context=plan.context,
        slots=plan.slots,
        load_seconds=1.0 + footprint.weights / _LOAD_RATE,
        keep_alive=settings.keep_alive or None,
    )


def _slots(format_: str, device: str) -> int:
    """Choose how many requests run at once: one for each two processors with llama.cpp, which shares them."""
    if device != "cpu":
        return _GPU_SLOTS
    if format_ == "safetensors":
        return _BATCHED_SLOTS
    return max(1, min(_BATCHED_SLOTS, len(os.sched_getaffinity(0)) // 2))


def _fingerprint(path: Path) -> str:
    """Return what tells weights apart without reading them."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    facts = [(str(file), info.st_size, info.st_mtime_ns) for file in files if (info := _stat(file))]
    return hashlib.sha256(repr((str(path), facts)).encode()).hexdigest()


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None

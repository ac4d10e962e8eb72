"""The types on the wire about models: details, what is under way, how they share memory, how they do."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from llmasos.api.kernel import ModelInfo
from llmasos.api.wire import ErrorBody, Wire


class _Shown(BaseModel):
    """What a newer kernel may know more of than its client."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class MemoryInfo(Wire):
    """Bytes that a model takes when it is loaded, by estimate."""

    weights: int = 0
    cache: int = 0
    workspace: int = 0

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.cache + self.workspace


class WeightFile(Wire):
    """One file of a model."""

    name: str
    size: int
    sha256: str = ""


class ModelDetails(ModelInfo):
    """Everything that is known of a model.

    Args:
        format: What its weights are stored in.
        source: Where they come from.
        path: Where they lie; empty while they are not here.
        sha256: The digest that records of its replies name.
        parameters: How many weights it has; 0 when unknown.
        family: The family it belongs to.
        drive: How it is asked for tool calls: `calls` under a grammar, or its `native` format.
        tool_format: How it writes calls by itself.
        context: Tokens it was trained to read.
        view: Tokens that it keeps in view here, by the settings and its memory; 0 when unknown.
        memory: What it takes when it is loaded; None when its files are not here.
        fits: Whether that fits the memory that models may take; None when that is not known.
    """

    format: Literal["gguf", "safetensors", ""] = ""
    source: str = ""
    path: str = ""
    sha256: str = ""
    pulled: datetime | None = None
    files: tuple[WeightFile, ...] = ()
    parameters: int = 0
    family: str = ""
    drive: Literal["calls", "native", ""] = ""
    tool_format: str = ""
    context: int = 0
    view: int = 0
    memory: MemoryInfo | None = None
    fits: bool | None = None


class ModelProgress(Wire):
    """What is under way with a model, how much of it is done, of how much; the total is 0 when unknown."""

    what: str
    done: float = 0.0
    total: float = 0.0
    unit: str = ""


class ModelLine(Wire):
    """One line of a pull or a load as it is streamed: progress, at last the model, or why there is none."""

    progress: ModelProgress | None = None
    model: ModelDetails | None = None
    error: ErrorBody | None = None


class DeviceShare(_Shown):
    """A device's memory in bytes: what models may take, what they take, and what is free by measurement."""

    name: str
    title: str = ""
    budget: int = 0
    used: int = 0
    free: int | None = None


class ModelShare(_Shown):
    """What a model takes of its device, and how its requests fare.

    Args:
        wait_p50: Seconds that half of the last requests waited at most.
        wait_p90: Seconds that nine tenths of them waited at most.
        first_token: Average seconds to the first token; None before any.
        idle: Seconds since it last wrote something; None before it did.
    """

    name: str
    device: str = ""
    state: str = ""
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


class SessionShare(_Shown):
    """Who asks, how urgently, and what part of the models it used."""

    id: str
    band: str = ""
    share: float = 0.0
    running: int = 0
    waiting: int = 0


class EndpointShare(_Shown):
    """One of the places where a model runs elsewhere: whether it is asked, why it failed last, and its use.

    Args:
        requests: Replies that were made there since the kernel started.
        tokens: Tokens that were read and written for them.
        cost: What that costs by the prices of the settings; None where the model has none.
    """

    url: str
    state: str = ""
    outstanding: int = 0
    reason: str = ""
    requests: int = 0
    tokens: int = 0
    cost: float | None = None


class RemoteShare(_Shown):
    """A model that runs elsewhere."""

    name: str
    endpoints: tuple[EndpointShare, ...] = ()


class ModelsTop(_Shown):
    """How models share the machine at one moment; `host` is the memory of those moved off their device."""

    devices: tuple[DeviceShare, ...] = ()
    host: DeviceShare = DeviceShare(name="host")
    models: tuple[ModelShare, ...] = ()
    sessions: tuple[SessionShare, ...] = ()
    remotes: tuple[RemoteShare, ...] = ()
    draining: bool = False


class BenchRequest(Wire):
    """The model to measure, or the default one, and with how many requests of each kind; 0 is all."""

    model: str = ""
    limit: int = Field(0, ge=0)


class BenchRow(Wire):
    """How many requests of one kind were answered rightly.

    Args:
        requests: How many there were.
        tool: With the right tool, or in words where no tool is needed.
        valid: With a call or an answer at all.
        arguments: With the right tool and the right arguments.
        seconds: Time of a request, on average.
    """

    kind: str
    requests: int
    tool: int
    valid: int
    arguments: int
    seconds: float


class BenchReport(Wire):
    """What a model can do, as the project's own requests measure it.

    Args:
        rows: One for each kind of requests.
        read_per_second: Tokens of a prompt read in a second.
        written_per_second: Tokens written in a second.
        first_token: Seconds to the first token of a short request.
        cpu_seconds: Processor time of a request of this kernel and its engines, on average.
        misses: Requests of the open kind that went wrong, with what came instead.
        verdict: What it can be trusted with, in words.
    """

    model: str
    rows: tuple[BenchRow, ...]
    read_per_second: float
    written_per_second: float
    first_token: float
    cpu_seconds: float
    misses: tuple[str, ...] = ()
    verdict: str = ""


class BenchLine(Wire):
    """One line of a measurement as it is streamed: progress, at last the report, or why there is none."""

    progress: ModelProgress | None = None
    report: BenchReport | None = None
    error: ErrorBody | None = None

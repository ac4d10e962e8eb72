"""What the scheduler measures, as OpenTelemetry instruments and for `llmasos models top`.

Names and units follow OpenTelemetry's semantic conventions for generative AI where those have them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from opentelemetry.metrics import Meter, get_meter

from llmasos.models.engines.port import TokenUsage
from llmasos.models.scheduler.tally import Tally
from llmasos.models.scheduler.types import Card, Job

# The bounds that the semantic conventions advise.
_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_FIRST = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_EACH = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
_TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)

Attributes = dict[str, str | int]


class Metrics:
    """Counts and times of all models.

    Args:
        clock: Returns the time in seconds.
        meter: Makes the instruments; the one of the global provider when missing.
    """

    def __init__(self, clock: Callable[[], float], meter: Meter | None = None) -> None:
        meter = meter or get_meter("llmasos.models")
        self._clock = clock
        self.tallies: defaultdict[str, Tally] = defaultdict(Tally)
        self._duration = meter.create_histogram(
            "gen_ai.server.request.duration",
            "s",
            "Time from a request's arrival to its end.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._first = meter.create_histogram(
            "gen_ai.server.time_to_first_token",
            "s",
            "Time from a request's arrival to its first token.",
            explicit_bucket_boundaries_advisory=_FIRST,
        )
        self._each = meter.create_histogram(
            "gen_ai.server.time_per_output_token",
            "s",
            "Time for each token after the first one.",
            explicit_bucket_boundaries_advisory=_EACH,
        )
        self._usage = meter.create_histogram(
            "gen_ai.client.token.usage",
            "{token}",
            "Tokens that a request read and wrote.",
            explicit_bucket_boundaries_advisory=_TOKENS,
        )
        self._tokens = meter.create_counter("llmasos.models.tokens", "{token}", "Tokens written.")
        self._queue = meter.create_up_down_counter(
            "llmasos.models.queue.length", "{request}", "Requests that wait."
        )
        self._running = meter.create_up_down_counter(
            "llmasos.models.running", "{request}", "Requests that run."
        )
        self._wait = meter.create_histogram(
            "llmasos.models.queue.time",
            "s",
            "Time from a request's arrival to its start.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._memory = meter.create_gauge(
            "llmasos.models.memory.used", "By", "Bytes that a model takes on its device."
        )
        self._loading = meter.create_histogram(
            "llmasos.models.load.duration",
            "s",
            "Time to make a model resident.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._loads = meter.create_counter("llmasos.models.loads", "{load}", "Models made resident.")
        self._evictions = meter.create_counter(
            "llmasos.models.evictions", "{eviction}", "Models that left their device."
        )
        self._preemptions = meter.create_counter(
            "llmasos.models.preemptions", "{preemption}", "Requests that were stopped to go on later."
        )
        self._refusals = meter.create_counter(
            "llmasos.models.refusals", "{request}", "Requests that ended without a reply."
        )

    def queued(self, job: Job, change: int) -> None:
        """A job waits (1), or does not wait any more (-1)."""
        self._queue.add(change, _of(job))

    def running(self, job: Job, change: int) -> None:
        """A job runs (1), or does not run any more (-1)."""
        self._running.add(change, _of(job))

    def waited(self, job: Job, seconds: float) -> None:
        """A job was started for the first time, so long after it arrived."""
        self._wait.record(seconds, _of(job))
        self.tallies[job.model].waited(seconds)

    def first(self, job: Job, seconds: float, operation: str) -> None:
        """A job's first token came, so long after it arrived."""
        self._first.record(seconds, _of(job, operation))
        self.tallies[job.model].first(seconds)

    def wrote(self, job: Job, tokens: int) -> None:
        """Tokens came."""
        self._tokens.add(tokens, _of(job))
        self.tallies[job.model].wrote(tokens, self._clock())

    def ended(
        self, job: Job, operation: str, usage: TokenUsage, seconds: float, writing: float, error: str
    ) -> None:
        """A job is over.

        Args:
            job: The job.
            operation: What it was, in the conventions' words; empty where they have none.
            usage: What it read and wrote.
            seconds: Time since its arrival.
            writing: Time since its first token.
            error: The kind of error that it ended with, or empty.
        """
        attributes = _of(job, operation)
        self._duration.record(seconds, {**attributes, "error.type": error} if error else attributes)
        if usage.output > 1:
            self._each.record(writing / (usage.output - 1), attributes)
        for kind, tokens in (("input", usage.input), ("output", usage.output)):
            if tokens:
                self._usage.record(tokens, {**attributes, "gen_ai.token.type": kind})

    def preempted(self, job: Job) -> None:
        """A job was stopped to go on later."""
        self._preemptions.add(1, _of(job))

    def refused(self, job: Job, status: int) -> None:
        """A job ended without a reply."""
        self._refusals.add(1, {**_of(job), "http.response.status_code": status})

    def loaded(self, card: Card, size: int, seconds: float) -> None:
        """A model is resident."""
        self._loads.add(1, _at(card))
        self._loading.record(seconds, _at(card))
        self.measured(card, size)
        self.tallies[card.model].loads += 1

    def measured(self, card: Card, size: int) -> None:
        """A model takes so many bytes on its device now."""
        self._memory.set(size, _at(card))

    def evicted(self, card: Card) -> None:
        """A model has to leave its device, although nobody asked for that."""
        self._evictions.add(1, _at(card))
        self.tallies[card.model].evictions += 1


def _of(job: Job, operation: str = "") -> Attributes:
    attributes: Attributes = {"gen_ai.request.model": job.model, "llmasos.band": job.client.band}
    if operation:
        attributes |= {"gen_ai.operation.name": operation, "gen_ai.provider.name": "llmasos"}
    return attributes


def _at(card: Card) -> Attributes:
    return {"gen_ai.request.model": card.model, "llmasos.device": card.device}

"""What a simulation is given, engines and agents, and what came of it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from llmasos.models.scheduler.types import Card, Client, Job


@dataclass(frozen=True, slots=True)
class SimEngine:
    """A model and the time it takes.

    Args:
        card: What the scheduler knows of it.
        step: Seconds in which one request's next token is computed.
        more: Seconds that each further request adds to that step.
        prefill: Tokens read in a second.
        reload: Seconds of a load from the host's memory.
        unload: Seconds in which it leaves its device.
    """

    card: Card
    step: float = 0.03
    more: float = 0.002
    prefill: float = 2000.0
    reload: float = 0.3
    unload: float = 0.1


@dataclass(frozen=True, slots=True)
class SimAgent:
    """A client that asks again after each reply.

    Args:
        model: The model that it asks.
        client: Who it is.
        prompt: Tokens of each prompt.
        output: Tokens of each reply.
        start: When it asks first.
        think: Seconds from a reply to its next request.
        requests: How often it asks.
        preemptible: Whether its requests may be stopped and go on later.
    """

    model: str
    client: Client
    prompt: int = 200
    output: int = 100
    start: float = 0.0
    think: float = 0.0
    requests: int = 1_000_000
    preemptible: bool = True


@dataclass(slots=True)
class Request:
    """A request of an agent, and what became of it; times are infinite while they have not come.

    `unread` are tokens that the engine still has to read, and `left` the requests that the agent has left.
    """

    job: Job
    agent: SimAgent
    left: int
    submitted: float
    first: float = float("inf")
    ended: float = float("inf")
    refused: float = float("inf")
    written: int = 0
    unread: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a simulation came to.

    Args:
        seconds: How long it ran.
        requests: All requests.
        loads: Models that were loaded, in order.
        preempted: Times that a request was.
    """

    seconds: float
    requests: tuple[Request, ...]
    loads: tuple[str, ...]
    preempted: int

    @property
    def throughput(self) -> float:
        """Tokens written in a second."""
        return sum(request.written for request in self.requests) / self.seconds

    def served(self, model: str) -> int:
        """Return how many requests to a model ended well."""
        return sum(request.ended <= self.seconds for request in self.requests if request.job.model == model)

    def waits(self, session: str = "") -> list[float]:
        """Return the seconds to first tokens in order, of one session or all; still waiting counts so far."""
        return sorted(
            min(request.first, request.refused, self.seconds) - request.submitted
            for request in self.requests
            if session in ("", request.job.client.session)
        )

    @property
    def jain(self) -> float:
        """Jain's index of the tokens that sessions were written: 1 is equal, 1/n is one for all."""
        shares: defaultdict[str, float] = defaultdict(float)
        for request in self.requests:
            shares[request.job.client.session] += request.written / request.job.client.weight
        squares = sum(share**2 for share in shares.values())
        return sum(shares.values()) ** 2 / (len(shares) * squares) if squares else 1.0

"""What every session of a kernel shares."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from pydantic_ai.tools import ToolDefinition

from llmasos.agent.offer import Offer
from llmasos.agent.toolset import definition
from llmasos.config import Settings
from llmasos.federated.runs import Runs
from llmasos.ledger import Ledger
from llmasos.models import Models
from llmasos.sandbox import SandboxProvider
from llmasos.secrets import Canaries, Redactor
from llmasos.store import Store
from llmasos.tools import Registry
from llmasos.tools.knowledge import Shelf


async def _no_others() -> Sequence[str]:
    return ()


@dataclass(frozen=True)
class Services:
    """What every session shares.

    Args:
        refresh_others: Looks whether others' tools are as a person has enabled them; returns what to tell.
    """

    settings: Settings
    store: Store
    models: Models
    provider: SandboxProvider
    ledger: Ledger
    registry: Registry
    canaries: Canaries = field(default_factory=lambda: Canaries(Redactor()))
    trainings: Runs | None = None
    shelf: Shelf | None = None
    refresh_others: Callable[[], Awaitable[Sequence[str]]] = _no_others

    @property
    def redactor(self) -> Redactor:
        """What takes the secrets out of everything that is kept, shown, or read by a model."""
        return self.canaries.redactor

    @property
    def definitions(self) -> list[ToolDefinition]:
        """The tools as models are offered them at first."""
        return [definition(tool) for tool in Offer(self.registry, set()).tools()]

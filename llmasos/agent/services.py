"""What every session of a kernel shares."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from pydantic_ai.tools import ToolDefinition

from llmasos.agent.toolset import definition
from llmasos.config import Settings
from llmasos.federated.runs import Runs
from llmasos.ledger import Ledger
from llmasos.models import Models
from llmasos.sandbox import SandboxProvider
from llmasos.secrets import Canaries, Redactor
from llmasos.store import Store
from llmasos.tools import Registry


async def _no_plugins() -> Sequence[str]:
    return ()


@dataclass(frozen=True)
class Services:
    """What every session shares.

    Args:
        refresh_plugins: Looks whether plugins are what a person has enabled; returns what to tell them.
    """

    settings: Settings
    store: Store
    models: Models
    provider: SandboxProvider
    ledger: Ledger
    registry: Registry
    canaries: Canaries = field(default_factory=lambda: Canaries(Redactor()))
    trainings: Runs | None = None
    refresh_plugins: Callable[[], Awaitable[Sequence[str]]] = _no_plugins

    @property
    def redactor(self) -> Redactor:
        """What takes the secrets out of everything that is kept, shown, or read by a model."""
        return self.canaries.redactor

    @property
    def definitions(self) -> list[ToolDefinition]:
        """The tools as models are offered them."""
        return [definition(tool) for tool in self.registry]

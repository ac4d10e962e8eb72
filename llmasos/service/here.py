"""Which models other programs may name."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from llmasos.api import KeyScope
from llmasos.models import ModelStatus
from llmasos.service.refusals import NotAllowed


class Names(Protocol):
    """A key, as far as it says which models it may ask."""

    def may(self, scope: KeyScope) -> bool:
        """Return whether the key opens this."""

    def require_model(self, model: str) -> None:
        """Return when the key may ask this model.

        Raises:
            NotAllowed: It may not.
        """


class KnownModels(Protocol):
    """The kernel's models, as far as they say which there are."""

    def status(self) -> tuple[ModelStatus, ...]:
        """Return where every known model stands, the default one first."""


class Here:
    """The models that need not be fetched, and the default one.

    Other names would have the kernel open files, or fill the disk, for whoever calls.

    Args:
        models: The kernel's models.
        adapters: LoRA adapters by the models that have them; each is asked as `model:adapter`.
    """

    def __init__(
        self,
        models: KnownModels,
        adapters: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        self._models = models
        self._adapters = adapters or {}

    def models(self) -> dict[str, ModelStatus]:
        """Return them by name."""
        here = {
            model.name: model for model in self._models.status() if model.state != "absent" or model.default
        }
        with_adapters = {
            f"{model.name}:{adapter}": model
            for model in here.values()
            if model.state != "remote"
            for adapter in self._adapters.get(model.name, ())
        }
        return with_adapters | here

    def default(self) -> str:
        """Return the name of the model that is asked where none is named."""
        return self._models.status()[0].name

    def check(self, access: Names | None, named: str) -> None:
        """Return when whoever asks may have a session ask a model; the machine's own user may name any.

        Args:
            access: The key, or None.
            named: The model, or empty for the default one.

        Raises:
            NotAllowed: The key may not.
        """
        if access is None:
            return
        name = named or self.default()
        access.require_model(name)
        if name not in self.models() and not access.may("admin"):
            raise NotAllowed(
                f"The model {name[:200]!r} is not here, and only a key with the scope 'admin' names others.",
                hint="`llmasos models pull` gets models.",
            )

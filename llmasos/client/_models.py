"""What both clients ask about models."""

from __future__ import annotations

from collections.abc import Callable

from llmasos.api import ErrorBody, ModelChoice, ModelInfo
from llmasos.api.models import (
    BenchLine,
    BenchReport,
    BenchRequest,
    ModelDetails,
    ModelLine,
    ModelProgress,
    ModelsTop,
)
from llmasos.client._connection import Connection
from llmasos.client._errors import RequestRefused, gone
from llmasos.client._names import model_name

_PREFIX = "/v1/kernel/models"

Tell = Callable[[ModelProgress], None]


def _nobody(step: ModelProgress) -> None:
    return


class ModelCalls:
    """The part of the asynchronous client that asks about models."""

    async def models(self: Connection) -> list[ModelInfo]:
        """Return the models that can be chosen, the default one first."""
        return await self.request("GET", _PREFIX, list[ModelInfo])

    async def warm(self: Connection, model: str = "") -> None:
        """Have a model loaded in the background, the default one if none is named."""
        await self.post(f"{_PREFIX}/warm", ModelChoice(model=model_name(model)))

    async def show_model(self: Connection, model: str = "") -> ModelDetails:
        """Return everything that is known of a model, the default one if none is named.

        Raises:
            RequestRefused: There is none.
        """
        return await self.request("GET", f"{_PREFIX}/show", ModelDetails, query={"model": model_name(model)})

    async def models_top(self: Connection) -> ModelsTop:
        """Return how models share the machine now."""
        return await self.request("GET", f"{_PREFIX}/top", ModelsTop)

    async def pull_model(self: Connection, model: str, progress: Tell = _nobody) -> ModelDetails:
        """Have a model fetched, from a hub the newest that it has.

        Args:
            model: A name of the catalog, or a hub's `org/name[@revision][:file.gguf]`.
            progress: Told how far it is.

        Raises:
            RequestRefused: There is none, or it cannot be fetched.
        """
        return await _model(self, "pull", model, progress)

    async def load_model(self: Connection, model: str = "", progress: Tell = _nobody) -> ModelDetails:
        """Have a model resident, fetched first where it is not here.

        Raises:
            RequestRefused: There is none, or it cannot be fetched or loaded.
        """
        return await _model(self, "load", model, progress)

    async def unload_model(self: Connection, model: str = "") -> None:
        """Have a model leave the memory."""
        await self.post(f"{_PREFIX}/unload", ModelChoice(model=model_name(model)))

    async def pin_model(self: Connection, model: str = "") -> None:
        """Keep a model resident, whatever else is asked for."""
        await self.post(f"{_PREFIX}/pin", ModelChoice(model=model_name(model)))

    async def unpin_model(self: Connection, model: str = "") -> None:
        """Let a model go when others need its memory."""
        await self.post(f"{_PREFIX}/unpin", ModelChoice(model=model_name(model)))

    async def bench_model(
        self: Connection, model: str = "", limit: int = 0, progress: Tell = _nobody
    ) -> BenchReport:
        """Measure what a model can be trusted with.

        Args:
            model: The model, or the default one.
            limit: Requests of each kind at most; 0 is all.
            progress: Told how far it is.

        Raises:
            RequestRefused: There is none, or it cannot be asked.
        """
        wanted = BenchRequest(model=model_name(model), limit=limit)
        async with self.stream("POST", f"{_PREFIX}/bench", body=wanted) as response:
            async for text in response.aiter_lines():
                line = BenchLine.model_validate_json(text)
                _heard(line.progress, line.error, progress)
                if line.report is not None:
                    return line.report
        raise gone()


async def _model(client: Connection, what: str, model: str, progress: Tell) -> ModelDetails:
    wanted = ModelChoice(model=model_name(model))
    async with client.stream("POST", f"{_PREFIX}/{what}", body=wanted) as response:
        async for text in response.aiter_lines():
            line = ModelLine.model_validate_json(text)
            _heard(line.progress, line.error, progress)
            if line.model is not None:
                return line.model
    raise gone()


def _heard(step: ModelProgress | None, error: ErrorBody | None, progress: Tell) -> None:
    if error is not None:
        raise RequestRefused(error)
    if step is not None:
        progress(step)

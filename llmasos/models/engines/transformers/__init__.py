"""The engine for folders of safetensors: transformers and torch, with continuous batching."""

from __future__ import annotations

from llmasos.models.engines.port import Engine, LoadPlan


async def load_transformers(plan: LoadPlan) -> Engine:
    """Load a folder of safetensors.

    Raises:
        InvalidRequest: Adapters were asked for, which continuous batching does not have.
        OutOfMemory: There is no room for the model or for its cache.
        ModelError: The files cannot be loaded, or the engine is not installed.
    """
    from llmasos.models.engines.transformers.load import load

    engine: Engine = await load(plan)
    return engine

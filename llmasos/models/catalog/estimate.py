"""What a model will take in memory, before it is loaded."""

from __future__ import annotations

from llmasos.models.catalog.header import Header, read_header
from llmasos.models.engines.port import Footprint, LoadPlan

_MIB = 2**20
_DTYPE_BYTES = {"auto": 2, "bfloat16": 2, "float16": 2, "float32": 4}
_SMALLEST_CONTEXT = 2048

# Measured with llama.cpp on vocabularies of 49,152 and 151,936 tokens: buffers, and the vocabulary itself.
_LLAMA_FIXED = 8 * _MIB
_LLAMA_PER_TOKEN = 480
# Beside its cache, the state of a conversation has each token's number and place.
_STATE_PER_TOKEN = 16
# One step of transformers: hidden states of a batch, its logits as float32, a copy of them, and the mask.
_BATCH = 512
_STATES_PER_LAYER = 24
_LOGITS_ROWS = 64
_TORCH_FIXED = 64 * _MIB
_CUDA_CONTEXT = 512 * _MIB

_UNREAD_SHARE = 8
_UNREAD_FIXED = 512 * _MIB


def estimate(plan: LoadPlan) -> Footprint:
    """Return the bytes that a model will take, from the headers of its files.

    What is kept of prompts is `2 * layers * kv_heads * head_dim * context * slots` numbers; that some
    layers see only a window is not counted on.

    Raises:
        ModelError: The files are missing, damaged, or hold no language model.
    """
    return footprint_of(read_header(plan.path), plan)


def footprint_of(header: Header, plan: LoadPlan) -> Footprint:
    """Return the bytes that a model with this header will take."""
    adapters = sum(file.stat().st_size for _, file in plan.adapters if file.is_file())
    if plan.format == "gguf":
        copies = header.repacked if plan.device == "cpu" else 0
        return Footprint(
            weights=header.weights + copies + adapters,
            cache=header.cache_values * plan.context * plan.slots * 2 + waiting_bytes(header, plan),
            workspace=_LLAMA_FIXED + header.vocabulary * _LLAMA_PER_TOKEN,
        )
    size = _DTYPE_BYTES[plan.dtype]
    # One more context keeps the prefixes of requests that have ended.
    tokens = plan.context * (plan.slots + 1)
    weights = header.weights if header.quantised else header.traits.parameters * size
    states = _BATCH * header.hidden * size * _STATES_PER_LAYER
    logits = _LOGITS_ROWS * header.vocabulary * 4 * 2
    fixed = _TORCH_FIXED + (0 if plan.device == "cpu" else _CUDA_CONTEXT)
    return Footprint(
        weights=weights + adapters,
        cache=header.cache_values * tokens * size,
        workspace=fixed + states + logits + _BATCH * tokens * size,
    )


def waiting_bytes(header: Header, plan: LoadPlan) -> int:
    """Return the bytes that llama.cpp's conversations outside of slots take at most: as many as in one."""
    return plan.context * (header.cache_values * 2 + _STATE_PER_TOKEN)


def largest_that_fits(plan: LoadPlan, budget: int) -> LoadPlan | None:
    """Return the plan with fewer slots, or else less context, that fits a budget; None when none does.

    Args:
        plan: How the model would be loaded.
        budget: Bytes that it may take.
    """
    header = read_header(plan.path)
    tried = plan
    while footprint_of(header, tried).total > budget:
        if tried.slots > 1:
            tried = tried.model_copy(update={"slots": tried.slots // 2})
        elif tried.context > _SMALLEST_CONTEXT:
            tried = tried.model_copy(update={"context": max(tried.context // 2, _SMALLEST_CONTEXT)})
        else:
            return None
    return tried


def guess(size: int) -> int:
    """Return the bytes that a model will take of which only the size of its files is known."""
    return size + size // _UNREAD_SHARE + _UNREAD_FIXED

"""Loading a folder of safetensors."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmasos.errors import ModelError
from llmasos.models.engines.port import InvalidRequest, LoadPlan
from llmasos.models.engines.transformers.thread import ModelThread


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a folder held.

    Args:
        model: The model, on its device.
        tokenizer: Its tokenizer.
        ends: The tokens that end a reply.
        context: Tokens of prompt and reply that it may have.
        size: Numbers of tokens that it knows.
    """

    model: Any
    tokenizer: Any
    ends: frozenset[int]
    context: int
    size: int


async def load(plan: LoadPlan) -> Any:
    """Return the engine of the plan; see `load_transformers`."""
    from llmasos.models.engines.transformers.engine import TransformersEngine

    if plan.adapters:
        raise InvalidRequest(
            f"The model {plan.name} cannot have adapters: continuous batching has none.",
            hint="Use a GGUF file of the model, or merge the adapter into its weights.",
        )
    thread = ModelThread(plan.name)
    try:
        loaded = await thread.run(lambda: read(plan))
        return await TransformersEngine.start(plan, loaded, thread)
    except BaseException:
        thread.close()
        raise


def read(plan: LoadPlan) -> Loaded:
    """Read the folder on this thread, and choose its threads."""
    _check(plan)
    try:
        import torch
        from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging

        from llmasos.models.engines.transformers.memory import allocating
    except ImportError as error:
        raise ModelError(
            "The engine for safetensors is not installed.",
            hint="Install it with: pip install 'llmasos[transformers]'.",
        ) from error
    quiet: Any = logging.disable_progress_bar
    quiet()
    place: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    dtype = torch.bfloat16 if plan.dtype == "auto" else getattr(torch, plan.dtype)
    if plan.device != "cpu" and (torch.device(plan.device).index or 0) >= torch.cuda.device_count():
        raise ModelError(
            f"There is no device {plan.device}: torch sees {torch.cuda.device_count()} GPUs.",
            hint="Set LLMASOS_MODELS__DEVICE=cpu, or name a GPU that is there.",
        )
    with allocating(f"load {plan.name}"):
        try:
            if plan.device != "cpu":
                torch.cuda.set_device(torch.device(plan.device))
                # It makes a plan for each new shape, and while replies grow, each step has one.
                torch.backends.cuda.enable_cudnn_sdp(False)
            config = AutoConfig.from_pretrained(plan.path, **place)
            tokenizer = AutoTokenizer.from_pretrained(plan.path, **place)
            model: Any = AutoModelForCausalLM.from_pretrained(
                plan.path,
                config=config,
                dtype=dtype,
                use_safetensors=True,
                attn_implementation="sdpa",
                **place,
            )
            model = model.eval().requires_grad_(False).to(plan.device)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError) as error:
            raise _unreadable(plan, error) from error
        except Exception as error:
            # The reader of safetensors has an error type of its own, without a name that is public.
            if type(error).__name__ in ("SafetensorError", "StrictDataclassFieldValidationError"):
                raise _unreadable(plan, error) from error
            raise
    if not tokenizer.is_fast:
        raise ModelError(
            f"The tokenizer of {plan.name} has no fast form.", hint="Add a tokenizer.json to its folder."
        )
    if plan.device == "cpu":
        torch.set_num_threads(plan.threads or _fastest_threads())
    text = model.config.get_text_config()
    longest = getattr(text, "max_position_embeddings", None) or plan.context
    return Loaded(
        model=model,
        tokenizer=tokenizer,
        ends=_ends(model, tokenizer),
        context=min(plan.context, int(longest)),
        size=int(model.get_output_embeddings().weight.shape[0]),
    )


def _check(plan: LoadPlan) -> None:
    folder = Path(plan.path)
    if not (folder / "config.json").is_file() or not any(folder.glob("*.safetensors")):
        raise ModelError(
            f"The folder {folder} holds no model as safetensors.",
            hint="It needs config.json, a tokenizer and *.safetensors files; other weights are not read.",
        )


def _unreadable(plan: LoadPlan, error: Exception) -> ModelError:
    lines = str(error).strip().splitlines()
    return ModelError(
        f"The model in {plan.path} cannot be loaded: {lines[0] if lines else type(error).__name__}",
        hint="Check that its files are whole and that its architecture is known to transformers.",
    )


def _ends(model: Any, tokenizer: Any) -> frozenset[int]:
    given = getattr(model.generation_config, "eos_token_id", None)
    tokens = given if isinstance(given, list) else [given]
    return frozenset(token for token in (*tokens, tokenizer.eos_token_id) if token is not None and token >= 0)


def _fastest_threads() -> int:
    """Return how many threads multiply fastest now: on a busy machine more of them may be slower."""
    import torch

    most = max(1, len(os.sched_getaffinity(0)))
    left, right = torch.ones(8, 1024, dtype=torch.bfloat16), torch.ones(1024, 4096, dtype=torch.bfloat16)
    best, best_time = 1, float("inf")
    for threads in sorted({1, most, *(2**power for power in range(most.bit_length()))}):
        torch.set_num_threads(threads)
        torch.mm(left, right)
        times = []
        for _ in range(7):
            start = time.perf_counter()
            torch.mm(left, right)
            times.append(time.perf_counter() - start)
        # More threads have to be worth it: they take from others.
        if sorted(times)[3] < 0.9 * best_time:
            best, best_time = threads, sorted(times)[3]
    return best

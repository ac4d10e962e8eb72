"""Continuous batching: the parts of transformers, driven one step at a time."""

from __future__ import annotations

import gc
from typing import Any

import torch
from transformers import ContinuousBatchingConfig, LogitsProcessorList
from transformers.generation.continuous_batching.cb_logits_processors import (
    ContinuousBatchingLogitsProcessorList,
)
from transformers.generation.continuous_batching.continuous_api import (
    BackgroundThreadStatus,
    ContinuousBatchProcessor,
    OutputRouter,
)
from transformers.generation.continuous_batching.distributed import DistributedHelper
from transformers.generation.continuous_batching.initialization import (
    resolve_continuous_batching_config,
    update_cb_config_after_cache_creation,
)
from transformers.generation.continuous_batching.requests import RequestState

from llmasos.errors import ModelError
from llmasos.models.engines.port import EngineDied, TokenChoice
from llmasos.models.engines.transformers.fairness import NAME, register
from llmasos.models.engines.transformers.memory import is_out_of_memory, out_of_memory
from llmasos.models.engines.transformers.paging import TenantCache
from llmasos.models.engines.transformers.reply import Reply
from llmasos.models.engines.transformers.vocabulary import Vocabulary

# Pages are the unit in which prefixes are shared.
PAGE = 32
# Tokens of one step: a cancelled prompt stops after that many.
_STEP = {"cpu": 256, "cuda": 1024}


class Batch:
    """Runs the replies of one model together.

    It drives the processor of continuous batching by itself, without its manager and thread, so that
    an error ends only the requests of its step, and a request that is dropped is gone at once.
    All methods belong on one thread.

    Args:
        model: The model, on its device.
        vocabulary: Its tokens.
        context: Tokens of prompt and reply of one request.
        slots: Requests that take part in a step.

    Raises:
        ModelError: The model's layers are of a kind that continuous batching does not know.
    """

    def __init__(self, model: Any, vocabulary: Vocabulary, context: int, slots: int) -> None:
        self.replies: dict[str, Reply] = {}
        self._model = model
        self._vocabulary = vocabulary
        self._count = 0
        self._chosen: list[tuple[Reply, int, TokenChoice | None]] = []
        self._processor: Any = _processor(model, context, slots)
        self._processor.scheduler.replies = self.replies
        self._processor.model_runner._sample = self._sample

    @property
    def cache_bytes(self) -> int:
        """The bytes of the paged cache."""
        return int(self._processor.cache.cache_tensor.nbytes)

    @property
    def workspace_bytes(self) -> int:
        """The bytes of masks and inputs."""
        masks = (self._processor.inputs_and_outputs.attention_mask or {}).values()
        return sum(int(mask.nbytes) for mask in masks)

    @property
    def free_share(self) -> float:
        """The part of the cache that nothing is kept in."""
        return float(self._processor.cache.compute_free_capacity())

    def add(self, reply: Reply) -> None:
        """Let the reply take part; its prompt and the tokens that it has fit into the context."""
        self._count += 1
        request_id = str(self._count)
        self.replies[request_id] = reply
        self._processor.cache.belong(request_id, reply.tenant)
        # The end of a reply is our own decision: stop texts and grammars end it too.
        self._processor.scheduler.add_waiting_request(
            RequestState(request_id, [*reply.prompt, *reply.tokens], max_new_tokens=None)
        )

    def drop(self, reply: Reply) -> None:
        """Take the reply out and free its part of the cache."""
        for request_id in [number for number, other in self.replies.items() if other is reply]:
            self._discard(request_id)

    def step(self) -> bool:
        """Compute the next token of the replies whose turn it is; return whether there were any.

        Raises:
            EngineDied: The device cannot be used any more.
        """
        self._chosen.clear()
        try:
            if not self._processor.prepare_next_batch():
                return False
            self._processor._generation_step(self._model)
            self._processor.update_batch()
        except Exception as error:
            self._fail(error)
            return True
        for reply, token, choice in self._chosen:
            if not reply.finished:
                _guarded(reply, token, choice)
        for request_id in [number for number, reply in self.replies.items() if reply.finished]:
            self._discard(request_id)
        return True

    def close(self, error: Exception) -> None:
        """End all replies with the error and free the cache."""
        for reply in self.replies.values():
            reply.fail(error)
        self.replies.clear()
        self._processor = None
        _collect()

    def _discard(self, request_id: str) -> None:
        self._processor.scheduler.discard(request_id)
        self._processor.cache.forget(request_id)
        del self.replies[request_id]

    def _fail(self, error: Exception) -> None:
        """End the replies of a step that failed; the others go on."""
        known = self._processor.scheduler.ran & self.replies.keys()
        reason: ModelError
        if is_out_of_memory(error):
            reason = out_of_memory("compute the next tokens", error)
        else:
            reason = ModelError(f"The engine failed: {error}.", hint="Try again.")
        for request_id in known or list(self.replies):
            self.replies[request_id].fail(reason)
            self._discard(request_id)
        _collect()
        if self._model.device.type == "cuda":
            try:
                torch.cuda.synchronize()
            except RuntimeError as dead:
                raise EngineDied(f"The GPU failed: {dead}.", hint="Ask again to load the model.") from dead

    def _sample(self, scores: torch.Tensor, output_ids: torch.Tensor) -> None:
        """Choose a token for each row, in place of the one way of sampling that a manager has.

        Args:
            scores: The logits, shape `[1, rows, size]`, float32.
            output_ids: Where the tokens go, shape `[1, at least rows]`.
        """
        scores = scores[0]
        batch = self._processor.inputs_and_outputs.requests_in_batch
        rows = [self.replies[future.state.request_id] for future in batch if future.has_new_token]
        best, places = scores[: len(rows)].max(dim=-1)
        tokens: list[int] = places.tolist()
        usable: list[bool] = torch.isfinite(best).tolist()
        for row, reply in enumerate(rows):
            plain = reply.sampler.plain and reply.constraint is None and reply.alternatives is None
            if plain and usable[row]:
                self._chosen.append((reply, tokens[row], None))
                continue
            try:
                tokens[row], choice = self._row(scores[row], reply)
            except ModelError as error:
                reply.fail(error)
            else:
                self._chosen.append((reply, tokens[row], choice))
        output_ids[0, : len(rows)] = torch.tensor(tokens, dtype=output_ids.dtype, device=output_ids.device)

    def _row(self, logits: torch.Tensor, reply: Reply) -> tuple[int, TokenChoice | None]:
        allowed = reply.sampler.adjust(logits, reply.prompt, reply.tokens)
        if reply.constraint is not None:
            forbidden = reply.constraint.forbidden().to(logits.device)
            allowed = allowed.masked_fill(forbidden, float("-inf"))
        token = reply.sampler.choose(allowed, len(reply.tokens))
        if reply.alternatives is None:
            return token, None
        odds = torch.log_softmax(logits, dim=-1)
        values, places = torch.topk(odds, reply.alternatives)
        others = tuple(map(self._choice, places.tolist(), values.tolist()))
        return token, self._choice(token, float(odds[token]), others)

    def _choice(self, token: int, odds: float, others: tuple[TokenChoice, ...] = ()) -> TokenChoice:
        data = self._vocabulary.label(token)
        return TokenChoice(text=data.decode("utf-8", "replace"), data=data, logprob=odds, others=others)


def _guarded(reply: Reply, token: int, choice: TokenChoice | None) -> None:
    try:
        reply.push(token, choice)
    except ModelError as error:
        reply.fail(error)


def _collect() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _processor(model: Any, context: int, slots: int) -> Any:
    """Return the processor with its cache, as `ContinuousBatchingManager` would make it."""
    # Each slot has room for a whole context, so that a step can always be made; one more context
    # keeps prefixes of requests that are over.
    blocks = (slots + 1) * (-(-context // PAGE))
    settings = ContinuousBatchingConfig(
        page_size=PAGE,
        num_blocks=blocks,
        max_batch_tokens=max(_STEP.get(model.device.type, 256), slots),
        max_memory_percent=1.0,
        max_requests_per_batch=slots,
        max_blocks_per_request=0,
        use_async_batching=False,
        use_cuda_graph=False,
        scheduler_type=NAME,
        safety_margin=0.0,
        auto_switch_to_flash=False,
    )
    config = model.config.get_text_config()
    helper = DistributedHelper(device_mesh=None, cpu_group_timeout=None, tp_plan={})
    settings = resolve_continuous_batching_config(
        config=config,
        cb_config=settings,
        workload_hints=None,
        has_logit_processors=False,
        device=model.device,
    )
    try:
        cache = TenantCache(
            config=config,
            continuous_batching_config=settings,
            device=model.device,
            distributed_helper=helper,
            dtype=model.dtype,
            model_supports_logits_to_keep=bool(model._supports_logits_to_keep()),
        )
    except ValueError as error:
        raise ModelError(
            f"The model cannot be batched: {error}.", hint="Choose a model whose layers are all attention."
        ) from error
    update_cb_config_after_cache_creation(settings, cache.num_blocks, cache.max_batch_tokens)
    scheduler = register()(cache, 0.0, slots)
    return ContinuousBatchProcessor(
        cache=cache,
        config=config,
        generation_config=model.generation_config,
        continuous_batching_config=settings,
        logit_processor=ContinuousBatchingLogitsProcessorList(LogitsProcessorList()),
        input_queue=None,
        cancel_queue=None,
        output_router=OutputRouter(),
        background_thread_status=BackgroundThreadStatus(),
        model_device=model.device,
        model_dtype=model.dtype,
        scheduler=scheduler,
        distributed_helper=helper,
    )

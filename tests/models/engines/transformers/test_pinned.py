"""What the engine uses of continuous batching that is no promise to anyone.

When one of these fails after an upgrade, read the new source before anything else is changed.
"""

import importlib
import inspect
from dataclasses import fields

import pytest

PACKAGE = "transformers.generation.continuous_batching"
MESSAGE = "transformers changed what engines/transformers builds on: read {} again"


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("cache.PagedAttentionCache.search_prefix_match", "self request_id prompt_ids"),
        ("cache.PagedAttentionCache.mark_complete_blocks", "self state complete_blocks"),
        ("cache.PagedAttentionCache.free_blocks", "self request_id no_cache"),
        ("cache.PagedAttentionCache.count_storable_requests", "self list_blocks_needed"),
        ("cache.PagedAttentionCache.compute_free_capacity", "self relative"),
        ("cache_allocators.cache_allocator.compute_block_hash", "parent_hash tokens"),
        (
            "cache_allocators.cache_allocator.CacheAllocator.acquire_prefix_blocks",
            "self request_id prefix_len block_ids",
        ),
        (
            "cache_allocators.cache_allocator.CacheAllocator.needs_new_blocks",
            "self request_id past_length query_length",
        ),
        ("cache_allocators.cache_allocator.BlockLedger.register_new_hash", "self block_id block_hash"),
        ("cache_allocators.cache_allocator.BlockLedger.acquire", "self block_id"),
        ("cache_allocators.cache_allocator.BlockLedger.release", "self block_id no_cache"),
        ("cache_allocators.cache_pool.CachePool.try_to_free_sectors", "self"),
        ("cache_allocators.cache_pool.CachePool.free_blocks", "self index block_ids"),
        ("scheduler.FIFOScheduler.__init__", "self cache safety_margin max_requests_per_batch"),
        ("scheduler.FIFOScheduler.schedule_batch", "self token_budget cache_budget"),
        (
            "scheduler.Scheduler._process_candidates",
            "self candidates token_budget cache_budget request_ids_to_remove_from_waiting",
        ),
        ("scheduler.Scheduler._infer_request_tokens", "self state request_ids_to_remove_from_waiting"),
        ("scheduler.Scheduler._cleanup_waiting_queue", "self request_ids_to_remove_from_waiting"),
        ("scheduler.Scheduler.add_waiting_request", "self state"),
        ("scheduler.Scheduler.set_request_cancellation", "self request_id"),
        ("scheduler.Scheduler.clear_cancelled_requests", "self"),
        ("scheduler.Scheduler.reset", "self"),
        ("requests.RequestState.create_equivalent_initial_request", "self"),
        ("model_runner.ModelRunner._sample", "self scores output_ids"),
        ("continuous_api.ContinuousBatchProcessor.prepare_next_batch", "self"),
        ("continuous_api.ContinuousBatchProcessor._generation_step", "self model"),
        ("continuous_api.ContinuousBatchProcessor.update_batch", "self"),
        (
            "initialization.resolve_continuous_batching_config",
            "config cb_config workload_hints has_logit_processors device",
        ),
        ("initialization.update_cb_config_after_cache_creation", "cb_config num_blocks max_batch_tokens"),
        ("distributed.DistributedHelper.__init__", "self device_mesh cpu_group_timeout tp_plan"),
    ],
)
def test_functions_take_what_they_took(name: str, parameters: str) -> None:
    module, _, rest = name.partition(".")
    if module == "cache_allocators":
        inner, _, rest = rest.partition(".")
        module = f"{module}.{inner}"
    found = importlib.import_module(f"{PACKAGE}.{module}")
    for part in rest.split("."):
        assert hasattr(found, part), MESSAGE.format(name)
        found = getattr(found, part)
    assert list(inspect.signature(found).parameters) == parameters.split(), MESSAGE.format(name)  # type: ignore[arg-type]


def test_requests_have_the_fields_and_states_that_are_read() -> None:
    requests = importlib.import_module(f"{PACKAGE}.requests")
    known = {field.name for field in fields(requests.RequestState)}
    used = {"request_id", "initial_tokens", "max_new_tokens", "generated_tokens", "position_offset"}
    assert used | {"remaining_prefill_tokens", "tokens_to_process"} <= known, MESSAGE.format("RequestState")
    assert [state.name for state in requests.RequestStatus] == [
        "PENDING",
        "PREFILLING",
        "DECODING",
        "FINISHED",
        "FAILED",
    ], MESSAGE.format("RequestStatus")


def test_our_scheduler_is_in_the_registry() -> None:
    from llmasos.models.engines.transformers.fairness import NAME, TokenCounterScheduler, register

    assert register() is TokenCounterScheduler
    mapping = importlib.import_module(f"{PACKAGE}.scheduler").SCHEDULER_MAPPING
    assert mapping[NAME] is TokenCounterScheduler

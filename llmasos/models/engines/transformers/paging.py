"""The paged cache, in which only requests of one tenant share what was computed."""

from __future__ import annotations

import hashlib
import mmap
import secrets
from typing import Any

import torch
from transformers.generation.continuous_batching.cache import PagedAttentionCache
from transformers.generation.continuous_batching.cache_allocators.cache_allocator import compute_block_hash


class TenantCache(PagedAttentionCache):
    """Begins each chain of block hashes with the tenant's own number instead of nothing.

    The tokens stay as they are, so what the model computes does not change. The numbers come from a
    secret of this process, so that nobody can construct a prompt whose blocks are another tenant's.
    """

    def __init__(self, *, device: Any, **options: Any) -> None:
        super().__init__(device="meta", **options)
        # Memory of the processor is taken when it is first written, so that a cache is there at once.
        self.device = torch.device(device)
        size = self.cache_tensor.numel()
        self.cache_tensor = _zeros(size, self.device)
        for allocator in self.cache_allocators.values():
            allocator.register_cache_tensor(
                self.bytes_per_sector, size - 2 * self.bytes_per_sector, self.cache_tensor, self.pool
            )
        self._secret = secrets.token_bytes(32)
        self._tenants: dict[str, str] = {}

    def belong(self, request_id: str, tenant: str) -> None:
        """Say whose the request is, before it is scheduled."""
        self._tenants[request_id] = tenant

    def forget(self, request_id: str) -> None:
        """Free what the request holds, for good."""
        self.free_blocks(request_id)
        self._tenants.pop(request_id, None)

    def free_blocks(self, request_id: str, no_cache: bool = False) -> None:
        """Free what the request holds, its last blocks first: without the earlier ones they are useless."""
        for allocator in self.cache_allocators.values():
            if self.use_prefix_sharing:
                allocator.block_table.get(request_id, []).reverse()
        super().free_blocks(request_id, no_cache)

    def drop_oldest(self) -> bool:
        """Free the block that nobody has used for longest; return whether there was one."""
        dropped = False
        for allocator in self.cache_allocators.values():
            ledger = allocator.ledger
            if block := next(iter(ledger.cached_blocks.items()), None):
                del ledger.cached_blocks[block[0]]
                del ledger.hash_to_block[ledger.block_to_hash.pop(block[0])]
                self.pool.free_blocks(allocator.index, [block[0]])
                dropped = True
        self.pool.try_to_free_sectors()
        return dropped

    def search_prefix_match(self, request_id: str, prompt_ids: list[int]) -> int:
        """Give the request the blocks of its tenant that hold the beginning of its prompt."""
        matched = {
            name: self._matching(allocator, request_id, prompt_ids)
            for name, allocator in self.cache_allocators.items()
        }
        length = min(
            len(blocks) * self.cache_allocators[name].tokens_per_page for name, blocks in matched.items()
        )
        if length > 0:
            for name, blocks in matched.items():
                self.cache_allocators[name].acquire_prefix_blocks(request_id, length, blocks)
        return length

    def mark_complete_blocks(self, state: Any, complete_blocks: dict[str, int]) -> None:
        """Make the blocks that the last step completed known to requests of the tenant."""
        if not self.use_prefix_sharing or not complete_blocks:
            return
        tokens = state.initial_tokens + state.generated_tokens
        for name, count in complete_blocks.items():
            self._register(self.cache_allocators[name], state.request_id, tokens, count)

    def _register(self, allocator: Any, request_id: str, tokens: list[int], count: int) -> None:
        table = allocator.block_table[request_id]
        page = allocator.tokens_per_page
        parent = self._salt(request_id)
        for place, block in enumerate(table):
            known = allocator.ledger.block_to_hash.get(block)
            if known is None:
                inside = tokens[place * page : (place + 1) * page]
                if count == 0 or len(inside) < page:
                    return
                count -= 1
                known = compute_block_hash(parent, inside)
                twin = allocator.ledger.register_new_hash(block, known)
                if twin is not None:
                    allocator.ledger.acquire(twin)
                    table[place] = twin
                    if allocator.ledger.release(block):
                        self.pool.free_blocks(allocator.index, [block])
            parent = known

    def _matching(self, allocator: Any, request_id: str, tokens: list[int]) -> list[int]:
        page = allocator.tokens_per_page
        found: list[int] = []
        chain = self._salt(request_id)
        # At least one token is left to be read, or there would be nothing to predict from.
        for start in range(0, (len(tokens) - 1) // page * page, page):
            chain = compute_block_hash(chain, tokens[start : start + page])
            block = allocator.ledger.hash_to_block.get(chain)
            if block is None:
                break
            found.append(block)
        return found

    def _salt(self, request_id: str) -> int:
        tenant = self._tenants[request_id].encode("utf-8", "surrogatepass")
        digest = hashlib.blake2b(tenant, digest_size=8, key=self._secret).digest()
        return int.from_bytes(digest, "little")


def _zeros(size: int, device: torch.device) -> torch.Tensor:
    if device.type == "cpu":
        return torch.frombuffer(mmap.mmap(-1, size), dtype=torch.uint8)
    return torch.zeros(size, dtype=torch.uint8, device=device)

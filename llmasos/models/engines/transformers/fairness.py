"""Which requests take part in the next step: a virtual token counter for each session."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import Any

from transformers.generation.continuous_batching.requests import RequestStatus
from transformers.generation.continuous_batching.scheduler import SCHEDULER_MAPPING, FIFOScheduler

from llmasos.models.engines.transformers.paging import TenantCache
from llmasos.models.engines.transformers.reply import Reply

NAME = "token_counter"

_READ = 1.0
_WRITTEN = 2.0
# A request in the batch stays until its session is this far ahead of another one.
_PATIENCE = 4 * _WRITTEN
# A session that comes back begins that far behind the others: enough to get the next free place.
_WELCOME = _PATIENCE + _WRITTEN


class TokenCounterScheduler(FIFOScheduler):
    """Gives the places of a step to the sessions that were served least.

    A request that gets no place keeps its blocks and waits where it is. Only when blocks are short
    are they taken from such a request, which then is read again later.

    Source: Sheng et al., "Fairness in Serving Large Language Models" (OSDI 2024).
    """

    cache: TenantCache
    replies: Mapping[str, Reply]
    ran: frozenset[str]

    def reset(self) -> None:
        """Forget all requests."""
        super().reset()
        self.replies = {}
        self._served: dict[str, float] = {}
        self._present: frozenset[str] = frozenset()
        self.ran = frozenset()

    def schedule_batch(self, token_budget: int, cache_budget: int) -> tuple[list[Any], bool, int, int]:
        """Return the requests of the next step, and how much it reads, as the base class says."""
        removed: set[str] = set()
        picked = self._with_room(self._pick(token_budget), token_budget, removed)
        scheduled, _, fast, read, again = self._process_candidates(
            picked, token_budget, cache_budget, removed
        )
        self._cleanup_waiting_queue(removed)
        # Room was made already, by rules of our own.
        self.starved_requests = []
        for future in scheduled:
            session = self._session(future.state)
            if not future.state.generated_tokens:
                self._served[session] += _READ * future.query_length
            if future.has_new_token:
                self._served[session] += _WRITTEN
        self.ran = frozenset(future.state.request_id for future in scheduled)
        return scheduled, fast, read, again

    def discard(self, request_id: str) -> None:
        """Drop the request, wherever it is, and free its blocks."""
        self.set_request_cancellation(request_id)
        self.clear_cancelled_requests()

    def requeue(self, state: Any) -> None:
        """Take the request's blocks; it will be read again, with the tokens that it has."""
        self.cache.free_blocks(state.request_id)
        self.active_requests.pop(state.request_id)
        self.add_waiting_request(state.create_equivalent_initial_request())

    def _session(self, state: Any) -> str:
        return self.replies[state.request_id].session

    def _pick(self, token_budget: int) -> list[Any]:
        """Return the requests that deserve a place, those that write before those that read."""
        states = [*self.active_requests.values(), *self.waiting_requests.values()]
        order = {request_id: place for place, request_id in enumerate(self.replies)}
        lines: dict[str, list[Any]] = {}
        for state in states:
            line = lines.setdefault(self._session(state), [])
            if not self.replies[state.request_id].stalled():
                line.append(state)
        self._lift(lines.keys())
        for line in lines.values():
            line.sort(key=lambda state: (state.request_id not in self.ran, order[state.request_id]))
            line.reverse()
        heap: list[tuple[float, float, int, str]] = []

        def enter(session: str, served: float) -> None:
            if not lines[session]:
                return
            state = lines[session][-1]
            stays = _PATIENCE if state.request_id in self.ran else 0.0
            # Among equals the shortest goes first, which makes the mean wait for a first token shorter.
            cost = self._cost(state, token_budget)
            heapq.heappush(heap, (served - stays, cost, order[state.request_id], session))

        served = {session: self._served[session] for session in lines}
        for session in lines:
            enter(session, served[session])
        picked: list[Any] = []
        while heap and len(picked) < self.max_requests_per_batch:
            session = heapq.heappop(heap)[3]
            state = lines[session].pop()
            picked.append(state)
            served[session] += self._cost(state, token_budget)
            enter(session, served[session])
        return sorted(picked, key=lambda state: state.status != RequestStatus.DECODING)

    def _cost(self, state: Any, token_budget: int) -> float:
        if state.status == RequestStatus.DECODING:
            return _WRITTEN
        return _READ * min(len(state.remaining_prefill_tokens), token_budget)

    def _lift(self, sessions: Any) -> None:
        """Bring sessions that come back from idleness up to the others: being away earns next to nothing."""
        staying = [self._served[session] for session in sessions if session in self._present]
        floor = min(staying, default=0.0)
        for session in sessions:
            if session not in self._present:
                self._served[session] = max(self._served.get(session, 0.0), floor - _WELCOME)
        self._present = frozenset(sessions)
        self._served = {
            session: served
            for session, served in self._served.items()
            if session in self._present or (self._present and served > floor)
        }

    def _with_room(self, picked: list[Any], token_budget: int, removed: set[str]) -> list[Any]:
        """Return those of the picked requests whose next tokens can be stored, making room for them."""
        taken = {state.request_id for state in picked}
        spare = [state for state in self.active_requests.values() if state.request_id not in taken]
        spare.sort(key=lambda state: self._served[self._session(state)])
        fitting: list[Any] = []
        needs: list[dict[str, int]] = []
        for state in picked:
            waits = state.status == RequestStatus.PENDING
            tokens = self._infer_request_tokens(state, removed)
            if waits and state.position_offset:
                reply = self.replies[state.request_id]
                reply.cached = reply.cached or min(state.position_offset, len(reply.prompt))
            length = min(len(tokens), token_budget)
            need = {
                name: allocator.needs_new_blocks(state.request_id, state.current_len(), length)
                for name, allocator in self.cache.cache_allocators.items()
            }
            if length and self._make_room(state, [*needs, need], spare, must=not fitting):
                needs.append(need)
                fitting.append(state)
                token_budget -= length
        return fitting

    def _make_room(self, state: Any, needs: list[dict[str, int]], spare: list[Any], *, must: bool) -> bool:
        self.cache.pool.try_to_free_sectors()
        holds = state.status != RequestStatus.PENDING
        while self.cache.count_storable_requests(needs) < len(needs):
            if self.cache.drop_oldest():
                continue
            if not spare:
                return False
            worst = spare[-1]
            ahead = self._served[self._session(worst)] - self._served[self._session(state)]
            # Reading again costs as much as the tokens that are given up; a first token is worth that.
            price = _READ * worst.current_len() if self.replies[state.request_id].tokens else 0.0
            if not must and not holds and ahead <= price:
                return False
            self.requeue(spare.pop())
            self.cache.pool.try_to_free_sectors()
        return True


def register() -> type[FIFOScheduler]:
    """Put the scheduler into the registry of continuous batching, and return it."""
    SCHEDULER_MAPPING[NAME] = TokenCounterScheduler
    return TokenCounterScheduler

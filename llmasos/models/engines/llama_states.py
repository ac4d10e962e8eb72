"""States of conversations that had to leave their slots, kept in memory until they go on."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from llmasos.models.engines.llama_server import LlamaServer
from llmasos.models.engines.llama_slots import Slot, common

# Copying a state costs about what it costs to read so many tokens.
_WORTH = 32


@dataclass
class _State:
    owner: tuple[str, str] | None
    tokens: list[int]
    known: int
    file: int
    size: int


class States:
    """Keeps what slots held, apart for every owner; the states that were used least lately go first.

    They lie in files that have no name, so that nothing is left of them when the process ends.

    Args:
        most: Bytes that all states together take at most; 0 keeps none.
        context: Tokens of the longest conversation, whose state takes about that much.
    """

    def __init__(self, most: int, context: int) -> None:
        self.most = most
        self._per_token = most / context
        self._lock = threading.Lock()
        self._states: list[_State] = []

    @property
    def size(self) -> int:
        """The bytes that they take now."""
        return sum(state.size for state in self._states)

    def keep(self, slot: Slot, shared: int, server: LlamaServer) -> None:
        """Keep what a slot holds before it is lost, where that pays.

        Args:
            slot: The slot.
            shared: How many of its tokens the next request needs, which are not lost.
            server: The server that has it.
        """
        lost = len(slot.tokens) - max(shared, slot.known)
        if lost < _WORTH or not self.most:
            return
        with self._lock:
            # What this conversation left before is part of what it leaves now.
            self._drop(
                lambda state: (
                    state.owner == slot.owner and common(state.tokens, slot.tokens) == len(state.tokens)
                )
            )
            self._fit(int(len(slot.tokens) * self._per_token))
        file = os.memfd_create("slot", os.MFD_CLOEXEC)
        saved = server.save(slot.number, file)
        state = _State(slot.owner, list(slot.tokens), slot.known, file, os.fstat(file).st_size)
        with self._lock:
            if not saved or state.size > self.most:
                os.close(file)
                return
            self._fit(state.size)
            self._states.append(state)

    def bring(self, slot: Slot, tokens: Sequence[int], known: int, server: LlamaServer) -> None:
        """Have a slot hold the state of its owner's that saves most, where one saves enough.

        Args:
            slot: The slot.
            tokens: The prompt.
            known: How many tokens at its start need not be computed anyway.
            server: The server that has the slot.
        """
        least = max(common(slot.tokens, tokens), known) + _WORTH
        with self._lock:
            mine = [state for state in self._states if state.owner == slot.owner]
            best = max(mine, key=lambda state: common(state.tokens, tokens), default=None)
            if best is None or common(best.tokens, tokens) < least:
                return
            self._states.remove(best)
        slot.tokens = []
        if server.restore(slot.number, best.file):
            slot.tokens, slot.known = best.tokens, best.known
        os.close(best.file)

    def close(self) -> None:
        """Forget all of them."""
        with self._lock:
            self.most = 0
            self._drop(lambda state: True)

    def _fit(self, size: int) -> None:
        while self._states and self.size + size > self.most:
            os.close(self._states.pop(0).file)

    def _drop(self, which: Callable[[_State], bool]) -> None:
        for state in [state for state in self._states if which(state)]:
            self._states.remove(state)
            os.close(state.file)


@contextlib.contextmanager
def memory_file() -> Iterator[int]:
    """Open a file that lies in memory alone."""
    file = os.memfd_create("slot", os.MFD_CLOEXEC)
    try:
        yield file
    finally:
        os.close(file)

"""Computed prompt prefixes, kept on the disk so that a new process need not read them again."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from llmasos import paths
from llmasos.models.engines.llama_server import Event, LlamaServer
from llmasos.models.engines.llama_slots import Slot, common
from llmasos.models.engines.llama_states import memory_file
from llmasos.models.engines.port import Turn
from llmasos.models.engines.prefix_file import prune_prefixes, read_prefix, write_prefix

_REMEMBERED = 64


class PrefixCache:
    """Saves and restores the state of llama.cpp's slots for prefixes of chats.

    Only prefixes are saved, never what a person wrote. What fails here costs time, not
    correctness, so failures are passed over.

    Args:
        folder: Where the files lie.
        identity: Identifies weights, context and engine; states of another identity are not used.
    """

    def __init__(self, folder: Path, identity: str) -> None:
        self.folder = paths.private_dir(folder)
        self._identity = identity
        self._lock = threading.Lock()
        self._tokens: OrderedDict[tuple[Turn, ...], list[int]] = OrderedDict()
        self._ends: dict[tuple[int, ...], list[int]] = {}

    def tokens(self, prefix: tuple[Turn, ...], server: LlamaServer) -> list[int]:
        """Return the tokens that prompts with this prefix begin with.

        Raises:
            InvalidRequest: The model's template refuses the prefix.
        """
        with self._lock:
            found = self._tokens.get(prefix)
        if found is None:
            # The turn after the prefix keeps a closing assistant turn from being continued.
            one, other = (
                server.tokenize(
                    server.render(
                        [*(turn.model_dump() for turn in prefix), {"role": "user", "content": content}], []
                    ),
                    prompt=True,
                )
                for content in (".", "A")
            )
            found = one[: common(one, other)]
            self._ends[tuple(found)] = one[len(found) :]
        with self._lock:
            self._tokens[prefix] = found
            self._tokens.move_to_end(prefix)
            while len(self._tokens) > _REMEMBERED:
                _, forgotten = self._tokens.popitem(last=False)
                self._ends.pop(tuple(forgotten), None)
        return found

    def ensure(
        self,
        tokens: list[int],
        slot: Slot,
        server: LlamaServer,
        stop: Callable[[], bool],
        adapters: list[dict[str, float]],
        *,
        owner: tuple[str, str],
    ) -> None:
        """Make the slot hold these tokens: it does already, or they are restored, or computed and saved.

        Args:
            tokens: The prefix.
            slot: The slot.
            server: The server that has it.
            stop: Whether the prefix is not wanted any more.
            adapters: Adapters to compute it with, in the server's format.
            owner: The tenant and the adapter that share what is saved.
        """
        if not tokens or common(slot.tokens, tokens) == len(tokens):
            return
        named = f"{self._identity}\n{owner}\n{tokens}\n{self._ends.get(tuple(tokens))}"
        path = self.folder / f"{hashlib.sha256(named.encode()).hexdigest()[:32]}.slot"
        slot.tokens = []
        with memory_file() as state:
            if path.exists() and read_prefix(path, named, state) and server.restore(slot.number, state):
                with contextlib.suppress(OSError):
                    path.touch()
                slot.tokens, slot.known = list(tokens), len(tokens)
                return
        with contextlib.suppress(OSError):
            path.unlink()
        # Behind a turn that follows, the prefix is to the last bit what it is in a prompt.
        reading = [*tokens, *self._ends.get(tuple(tokens), [])]
        if not _read(reading, slot, server, stop, adapters):
            return
        slot.tokens, slot.known = list(tokens), len(tokens)
        with memory_file() as state, contextlib.suppress(OSError):
            if server.save(slot.number, state):
                write_prefix(path, named, state)
                prune_prefixes(self.folder)


def _read(
    tokens: list[int],
    slot: Slot,
    server: LlamaServer,
    stop: Callable[[], bool],
    adapters: list[dict[str, float]],
) -> bool:
    """Have the engine read the tokens; return whether it did so to the end."""
    finished: list[bool] = []

    def on_event(event: Event) -> bool:
        if event["stop"]:
            finished.append(True)
        return stop()

    body = {
        "prompt": tokens,
        "n_predict": 1,
        "id_slot": slot.number,
        "cache_prompt": bool(slot.tokens),
        "return_progress": True,
        "lora": adapters,
    }
    server.complete(body, on_event)
    return bool(finished)

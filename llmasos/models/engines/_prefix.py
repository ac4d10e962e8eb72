"""Computed prompt prefixes, kept on the disk so that a new process need not read them again."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from llmasos import paths
from llmasos.models.engines.port import Turn

_KEEP = 4
_TIMEOUT = 60.0


class PrefixCache:
    """Saves and restores the state of llama.cpp's slot 0 for prefixes of chats.

    Only prefixes are saved, never what a person wrote. What fails here costs time, not
    correctness, so failures are passed over.

    Args:
        folder: Where the files lie.
        identity: Identifies weights, context and engine; states of another identity are not used.
        secret: The key of the engine's loopback port.
    """

    def __init__(self, folder: Path, identity: str, secret: str) -> None:
        self.folder = paths.private_dir(folder)
        self._identity = identity
        self._secret = secret
        self._current = ""

    def ensure(self, prefix: tuple[Turn, ...], server: Any, stop: Callable[[], bool]) -> None:
        """Make the engine hold this prefix: it does already, or it is restored, or computed and saved."""
        key = self._key(prefix)
        if key == self._current:
            return
        path = self.folder / f"{key}.slot"
        if path.exists() and self._slot(server, "restore", path.name):
            path.touch()
            self._current = key
            return
        path.unlink(missing_ok=True)
        if not _read(server, prefix, stop):
            return
        self._current = key
        unfinished = f"{key}.tmp"
        if self._slot(server, "save", unfinished):
            with contextlib.suppress(OSError):
                (self.folder / unfinished).rename(path)
                self._prune()
        (self.folder / unfinished).unlink(missing_ok=True)

    def _key(self, prefix: tuple[Turn, ...]) -> str:
        turns = json.dumps([turn.model_dump() for turn in prefix], ensure_ascii=False)
        return hashlib.sha256(f"{self._identity}\n{turns}".encode()).hexdigest()[:32]

    def _prune(self) -> None:
        files = sorted(self.folder.glob("*.slot"), key=lambda file: file.stat().st_mtime, reverse=True)
        for file in files[_KEEP:]:
            file.unlink(missing_ok=True)

    def _slot(self, server: Any, action: str, filename: str) -> bool:
        # The binding exposes slots only on the engine's loopback port.
        address = urlsplit(server.listening_address)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=_TIMEOUT)
        try:
            connection.request(
                "POST",
                f"/slots/0?action={action}",
                json.dumps({"filename": filename}),
                {"Authorization": f"Bearer {self._secret}", "Content-Type": "application/json"},
            )
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def _read(server: Any, prefix: tuple[Turn, ...], stop: Callable[[], bool]) -> bool:
    """Have the engine read the prefix; return whether it did so to the end."""
    finished: list[bool] = []

    def on_chunk(data: dict[str, Any]) -> bool:
        if any(choice["finish_reason"] for choice in data.get("choices", ())):
            finished.append(True)
        return stop()

    # The turn after the prefix keeps a closing assistant turn from being continued.
    turns = [*(turn.model_dump() for turn in prefix), {"role": "user", "content": "."}]
    server.handle_chat_completions(
        {"messages": turns, "max_tokens": 1, "cache_prompt": True, "stream": True, "return_progress": True},
        on_chunk,
    )
    return bool(finished)

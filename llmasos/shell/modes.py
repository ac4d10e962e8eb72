"""What is possible and when a person is asked, as it is said on a command line."""

from __future__ import annotations

import re
from collections.abc import Sequence

from llmasos.errors import LLMasOSError

ACCESS = ("read-only", "workspace", "open")
ASKING = ("always", "on-risk", "never")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def one_of(word: str, words: Sequence[str], option: str) -> str:
    """Return a word that is one of those known, or empty.

    Raises:
        LLMasOSError: It is none of them.
    """
    if word and word not in words:
        raise LLMasOSError(f"{option} does not know {word!r}.", hint=f"It takes: {', '.join(words)}.")
    return word


def digests(words: Sequence[str]) -> tuple[str, ...]:
    """Return the digests of calls that are approved beforehand.

    Raises:
        LLMasOSError: One is none.
    """
    for word in words:
        if not _DIGEST.fullmatch(word):
            raise LLMasOSError(
                f"{word[:80]!r} is not the hash of a call.",
                hint="`llmasos run` lists the hashes of the approvals it wanted; they have 64 digits.",
            )
    return tuple(words)

"""How many tokens texts have, as their lengths tell: to count them would take the model's time."""

from __future__ import annotations

from collections.abc import Iterable

from llmasos.models.engines.port import ContextExceeded

# What the longest tokens of vocabularies stand for, which are runs of spaces.
_LONGEST = 128
_DIGITS = b"0123456789"
_TURN_OVERHEAD = 6


def fewest_tokens(texts: Iterable[str]) -> int:
    """Return a number of tokens that texts have at least, whatever they say."""
    return sum(map(len, texts)) // _LONGEST


def likely_tokens(texts: Iterable[str]) -> int:
    """Estimate the tokens of texts; three bytes a token fit English, code and Chinese."""
    return max(1, sum(len(text.encode("utf-8", "replace")) for text in texts) // 3)


def most_tokens(text: str) -> int:
    """Estimate the tokens of a turn, rather too many than too few: digits are a token each."""
    data = text.encode("utf-8", "replace")
    digits = len(data) - len(data.translate(None, _DIGITS))
    return digits + (len(data) - digits) // 3 + _TURN_OVERHEAD


def check_fits(model: str, context: int, texts: Iterable[str]) -> None:
    """Refuse texts that are surely too long, before anything counts them.

    Args:
        model: The model's name.
        context: Tokens that it keeps in view.
        texts: What it is to read at once.

    Raises:
        ContextExceeded: They are.
    """
    check_length(model, context, sum(map(len, texts)))


def check_length(model: str, context: int, length: int) -> None:
    """Refuse so many characters, as `check_fits` does.

    Raises:
        ContextExceeded: They are too many.
    """
    if length // _LONGEST > context:
        raise ContextExceeded(
            f"{length:,} characters are too long for {model}, which keeps {context:,} tokens in view.",
            hint="Send less, or put the text into a file and name the file instead.",
        )

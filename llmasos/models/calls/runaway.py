"""Runaway text: a model that writes the same over and over."""

from __future__ import annotations

WINDOW = 1200
"""Characters at the end of a text that tell."""

# How often a phrase of so many characters at most is written before it is over and over; deep indentation and
# the tables and rulers of texts repeat less.
_PHRASES = ((7, 60), (80, 12))
_BLANKS = 200


def runs_away(text: str) -> bool:
    """Return whether a text ends with a phrase, or a character, over and over."""
    if text[-1:].isspace():
        blanks = text[-_BLANKS:]
        if len(blanks) == _BLANKS and blanks == blanks[0] * _BLANKS:
            return True
    begin = 1
    for longest, times in _PHRASES:
        for length in range(begin, longest + 1):
            end = text[-length * times :]
            # Shifted by the phrase, such an end is the same.
            repeats = len(end) == length * times and end[length:] == end[:-length]
            if repeats and not end[:length].isspace() and not _made_of_shorter(end[:length], begin):
                return True
        begin = longest + 1
    return False


def _made_of_shorter(phrase: str, begin: int) -> bool:
    """Return whether a phrase repeats one shorter than `begin`, which has to be there more often."""
    lengths = (length for length in range(1, begin) if len(phrase) % length == 0)
    return any(phrase == phrase[:length] * (len(phrase) // length) for length in lengths)

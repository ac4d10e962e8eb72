"""What a draft is held to, as far as that can be counted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from llmasos.tools.writing.sentences import is_prose, paragraphs, same_as

_DENSE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_BLANK = re.compile(
    r"\[(?:your|name|insert|date|company|recipient|您|姓名|日期|公司)[^\]\n]{0,60}\](?!\()", re.IGNORECASE
)
_TALK = re.compile(
    r"\A\s*(?:sure|certainly|of course|here(?:'s| is)|好的|当然|以下是|这是)[^\n]{0,120}[:：]\s*\n",
    re.IGNORECASE,
)
NEAR = 0.2
"""By which part the length may differ from what was asked for."""


@dataclass(frozen=True)
class Wanted:
    """What a text has to be.

    Args:
        words: About how many; 0 leaves it open. Of scripts without spaces, each sign is a word.
        points: What it has to speak of.
        names: Whom and what it has to name.
        addressee: Which of them it goes to.
    """

    words: int = 0
    points: Sequence[str] = ()
    names: Sequence[str] = ()
    addressee: str = ""


def count_words(text: str) -> int:
    """Return how many words a text has; of scripts without spaces, each sign is one."""
    return len(_DENSE.findall(text)) + len(_WORD.findall(_DENSE.sub(" ", text)))


def without_talk(text: str) -> str:
    """Return a text without what a model says before it."""
    text = text.strip()
    if text.startswith("```") and text.endswith("```") and text.count("```") == 2:
        text = text.split("\n", 1)[-1].removesuffix("```").strip()
    return _TALK.sub("", text, count=1).strip()


def problems(text: str, wanted: Wanted) -> list[str]:
    """Return what is wrong with a draft, in words that a model can act on."""
    found: list[str] = []
    count = count_words(text)
    if wanted.words and abs(count - wanted.words) > wanted.words * NEAR:
        found.append(f"it has {count} words and should have about {wanted.words}")
    found += (f"it does not speak of: {point}" for point in wanted.points if not _speaks(text, point))
    found += (_missing(name, wanted.addressee) for name in wanted.names if not _names(text, name))
    found += (f"{blank} is left to be filled in" for blank in dict.fromkeys(_BLANK.findall(text)))
    found += (f"it says twice: {sentence[:80]}" for sentence in _twice(text))
    return found


def _speaks(text: str, point: str) -> bool:
    """Return whether a text has most of the words of a point, by their beginnings."""
    told = text.casefold()
    dense = _DENSE.findall(point)
    if len(dense) > 1:
        pairs = ["".join(pair) for pair in pairwise(dense)]
        return sum(pair in told for pair in pairs) * 2 >= len(pairs)
    stems = [word[:5].casefold() for word in _WORD.findall(point) if len(word) > 3] or [point.casefold()]
    return sum(stem in told for stem in stems) * 2 >= len(stems)


def _names(text: str, name: str) -> bool:
    """Return whether a text has the longest word of a name, in whatever form."""
    return max(_WORD.findall(name), key=len).casefold()[:5] in text.casefold()


def _missing(name: str, addressee: str) -> str:
    # A small model puts a name at the beginning, and nowhere else, when it is told to.
    addressed = f"it does not address {name}: it must begin with “{name}”"
    return addressed if name == addressee else f"it does not name {name}"


def _twice(text: str) -> list[str]:
    prose = [sentence.strip() for part in paragraphs(text) if is_prose(part) for sentence in part]
    times = Counter(map(same_as, prose))
    said = {same_as(sentence): sentence for sentence in prose}
    return [sentence for same, sentence in said.items() if same and times[same] > 1][:3]

"""Sentences of a person: which of them forbid or ask, and whom or what those warn of."""

from __future__ import annotations

import re
from collections.abc import Iterator

from llmasos.agent.provenance.identifiers import identifiers

# A clause that says the contrary is one of its own.
_END = re.compile(
    r"(?<=[.!?;])\s+|(?<=[。！？；])|\n+|\s+(?=(?:but|instead|rather|sondern|mais|sino|ma|но)\b)",
    re.IGNORECASE,
)
# In the languages that most people write; in others a warning counts as what was said.
_FORBIDS = re.compile(
    r"\b(?:do not|don['\u2019]?t|never|must not|mustn['\u2019]?t|should not|shouldn['\u2019]?t|may not|avoid"
    r"|refrain|without (?:\w+ing))\b(?!\s+(?:forget|hesitate|worry|mind))"
    r"|\b(?:nicht|niemals|keine?[nmrs]?|auf keinen fall|ne\b.{1,30}\bpas|n['\u2019]\w+ pas|jamais|nunca|jamás"
    r"|no (?:env[íi]\w*|mand\w*|pagu\w*|escrib\w*|borr\w*|us\w*)|não|mai|niet|nooit|nigdy|nie"
    r"|не|никогда)\b|不要|别|別|勿|禁止|ないで|하지 ?마",
    re.IGNORECASE,
)
# Who asks whether somebody can do a thing wants it done.
_POLITE = re.compile(
    r"\b(?:(?:can|could|would|will|won['\u2019]?t) (?:you|we)|please|bitte"
    r"|(?:kannst|könntest|würdest|magst) du|(?:können|könnten|würden) (?:sie|wir)|(?:peux|pourrais)[- ]tu"
    r"|(?:pouvez|pourriez)[- ]vous|puedes"
    r"|podrías|puede|podría|pode|podes|puoi|potresti|può|можешь|можете|мог(?:ла|ли)? бы)\b"
    r"|请|請|ください|주세요",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(?<![\w.])\d[\d.,' ]*")


def sentences(text: str) -> list[str]:
    """Return the sentences and contrary clauses of a text."""
    return _END.split(text)


def is_forbidden(sentence: str) -> bool:
    """Whether a sentence says that something is not to be done."""
    return _FORBIDS.search(sentence) is not None


def is_question(sentence: str) -> bool:
    """Whether a sentence wants to know something, and not to have it done."""
    return sentence.rstrip().endswith(("?", "？")) and _POLITE.search(sentence) is None


def warned_of(sentence: str) -> Iterator[str]:
    """Give the links, addresses, accounts, hosts and numbers in a sentence, the longest first."""
    found = {found.text for found in identifiers(sentence) if found.kind != "path"}
    found |= {number.strip(" .,'") for number in _NUMBER.findall(sentence)}
    yield from sorted(found, key=len, reverse=True)

"""Names of files: which of them read like sentences, by which somebody may tell the model what to do."""

from __future__ import annotations

import re

from llmasos.agent.provenance.normal import folded, plain, weight, words

_SENTENCE = 6
_REQUEST = 3.5
_SHORT = 8
# Of these scripts a word takes about four characters, where one of the others takes two.
_LONG_WORDS = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u30a0-\u30ff]")
# Who writes these wants something done; the Chinese one also begins words for leave and invitations.
_ASKS = re.compile(
    r"\b(?:please|kindly|immediately|urgently|bitte|sofort|s['\u2019]il (?:te|vous) pla[iî]t|veuillez"
    r"|por favor|per favore|alsjeblieft|prosz[eę]|пожалуйста|срочно|vui lòng|xin hãy)\b"
    r"|(?<![申邀聘宴恳])请(?![假求柬帖款示愿客])|立即|马上|务必|請|ください|下さい|しなさい|せよ"
    r"|주세요|십시오|กรุณา|โปรด|من فضلك|يرجى|कृपया"
)
_LITTLE = re.compile(
    r"\b(?:the|and|then|you|your|this|that|these|all|must|should|with|from|der|die|das|und|dann|alles?"
    r"|les|des|puis|vous|tous|tout|los|las|luego|todos?)\b"
)


def is_telling(path: str) -> bool:
    """Whether a path reads like a sentence: one of its names does, or all of them together.

    Args:
        path: The path, from the folder on.
    """
    parts = {part: _weight(part) for part in path.split("/")}
    if any(found >= _SENTENCE for part, found in parts.items() if len(part) > _SHORT):
        return True
    text, found = _as_text(path), _weight(path)
    if found >= _REQUEST and _ASKS.search(plain(text)):
        return True
    spaced = [found for part, found in parts.items() if " " in part.strip()]
    if len(spaced) > 1 and sum(spaced) >= _SENTENCE:
        return True
    # Deep folders have many words, but not those that hold a sentence together.
    return found >= _SENTENCE and len(set(_LITTLE.findall(plain(text)))) > 1


def _weight(name: str) -> float:
    tokens = words(folded(_as_text(name)))
    return weight(tokens) - 0.25 * sum(_LONG_WORDS.match(token) is not None for token in tokens)


def _as_text(name: str) -> str:
    return re.sub(r"[_/.-]+", " ", name)

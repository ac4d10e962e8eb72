"""What can be wrong with a translation, as far as one sees it without the language."""

from __future__ import annotations

import re
from collections import Counter

from llmasos.tools.translation.language import Language, detect
from llmasos.tools.translation.marks import PLACEHOLDERS, words_in

_NUMBER = re.compile(r"\d+(?:[.,\u00a0\u202f' ]\d{3})*(?:[.,]\d+)?|\d+")
_DENSE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_DENSITY = 2.5  # letters of an alphabet that one of these signs stands for
_LONGEST, _SHORTEST = 3.0, 0.25
_SLACK = 40  # letters; a word may well take three
_ALIKE, _ALIKE_IF_SHORT = 0.25, 0.15
_SHORT = 30
_N = 6
_MARKUP = re.compile(r"<[^<>]*>|`[^`]*`|\]\([^()]*\)|[*_\[\]\\|&;]")


def problems(source: str, translation: str, target: Language, known: str) -> list[str]:
    """Return what is wrong with a translation, in words.

    Args:
        source: What was translated.
        translation: What came of it.
        target: The language that was asked for.
        known: The language of the source, or nothing.
    """
    found = [f"the number {number} is missing" for number in _missing_numbers(source, translation)]
    said = detect(words_in(translation) and translation)
    if target.code and known and known != target.code and said == known and translation.strip():
        found.append("it is not translated")
    elif said == "en" != target.code and target.code and len(translation) > _SLACK:
        # Where models know a language badly, they fall into English.
        found.append("it is in English")
    long, wide = _length(translation), _length(source)
    if long > wide * _LONGEST + _SLACK:
        found.append("it is much longer than what it translates")
    elif long + _SLACK / 2 < wide * _SHORTEST:
        found.append("it is much shorter than what it translates")
    return found


def unlike(source: str, back: str) -> bool:
    """Return whether a text and its back-translation share so little that it is suspicious."""
    source, back = (_MARKUP.sub(" ", PLACEHOLDERS.pattern.sub(" ", text)) for text in (source, back))
    return chrf(source, back) < (_ALIKE if len(source) > _SHORT else _ALIKE_IF_SHORT)


def chrf(reference: str, hypothesis: str, beta: float = 2.0) -> float:
    """Return the F-score of the n-grams of letters, up to six, that two texts share; 0 to 1.

    Popovic, chrF: character n-gram F-score for automatic MT evaluation, 2015.
    """
    one, other = ("".join(text.casefold().split()) for text in (reference, hypothesis))
    precision = recall = 0.0
    sizes = 0
    for size in range(1, _N + 1):
        wanted, told = _grams(one, size), _grams(other, size)
        if not wanted or not told:
            continue
        shared = (wanted & told).total()
        precision += shared / told.total()
        recall += shared / wanted.total()
        sizes += 1
    if not sizes or not precision + recall:
        return 1.0 if one == other else 0.0
    precision, recall = precision / sizes, recall / sizes
    return (1 + beta**2) * precision * recall / (beta**2 * precision + recall)


def _grams(text: str, size: int) -> Counter[str]:
    return Counter(text[start : start + size] for start in range(len(text) - size + 1))


def _missing_numbers(source: str, translation: str) -> list[str]:
    source, translation = (PLACEHOLDERS.pattern.sub(" ", text) for text in (source, translation))
    told = Counter(_digits(number) for number in _NUMBER.findall(translation))
    missing = []
    for number in _NUMBER.findall(source):
        digits = _digits(number)
        # Small numbers are words in many languages, and round ones are written with other words.
        if told[digits]:
            told[digits] -= 1
        elif len(digits) > 1 and digits.rstrip("0") not in {each.rstrip("0") for each in told}:
            missing.append(number)
    return missing


def _digits(number: str) -> str:
    return "".join(str(int(letter)) for letter in number if letter.isdecimal()).lstrip("0") or "0"


def _length(text: str) -> float:
    dense = len(_DENSE.findall(text))
    return len(text) + dense * (_DENSITY - 1)

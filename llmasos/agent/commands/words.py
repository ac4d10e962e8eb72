"""Words of bash: what a program gets when the quotes are gone, as far as that is known."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .expansions import Matched, expand

if TYPE_CHECKING:
    from tree_sitter import Node

_GLOBS = re.compile(r"[*?\[]|[@!+]\(")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_IN_STRING = re.compile(r'\\([$`"\\\n])')
_BRACES = re.compile(r"\{([^{}]*)\}")
_NAMED = re.compile(r"\$\{[^{}]*\}")
_RANGE = re.compile(r"(-?\d{1,4}|[A-Za-z])\.\.(-?\d{1,4}|[A-Za-z])")
_ANSI = re.compile(r"\\(x[0-9a-fA-F]{1,2}|u[0-9a-fA-F]{1,4}|U[0-9a-fA-F]{1,8}|[0-7]{1,3}|c.|.)", re.DOTALL)
_ANSI_LETTERS = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "a": "\a",
    "b": "\b",
    "e": "\x1b",
    "E": "\x1b",
    "f": "\f",
    "v": "\v",
}
_MOST_BRACES = 256


@dataclass(frozen=True)
class Word:
    """A word that a program gets.

    Args:
        text: What it gets, or how it is written where that is not known.
        dynamic: Whether it is known only when it runs.
        glob: Whether it stands for the files that it matches.
        operand: Whether it cannot be an option, although it is dynamic.
        place: A glob that what it gets matches, where it is dynamic; of use only for a path.
    """

    text: str
    dynamic: bool = False
    glob: bool = False
    operand: bool = False
    place: str = ""

    @property
    def path(self) -> Word:
        """The word as a path, which is known where a glob is known that it matches."""
        return Word(self.place, glob=True) if self.place else self

    @property
    def single(self) -> bool:
        """Whether it is one word, whatever it turns out to be."""
        return not self.dynamic or self.operand or re.fullmatch(r'"[^"@]*"', self.text) is not None

    @property
    def may_be_option(self) -> bool:
        """Whether it is an option, or may turn out to be one."""
        if self.place:
            return self.place[:1] in "-*?[@!+"
        if self.dynamic and not self.operand:
            return self.text[:1] in '"$`{-' or not self.text
        return (self.text.startswith("-") and self.text != "-") or (self.glob and self.text[:1] in "*?[@!+")


def decode(node: Node, variables: Mapping[str, str]) -> list[Word]:
    """Return the words that a node of a syntax tree stands for.

    Args:
        node: A word, a string, an expansion, or a concatenation of those.
        variables: Variables with values that are known.
    """
    if node.type == "command_name":
        children = node.children
        return decode(children[0], variables) if len(children) == 1 else [Word(_text(node), dynamic=True)]
    raw = _text(node)
    if node.type in {"word", "number", "concatenation"} and _BRACES.search(_NAMED.sub("", raw)):
        return _braces(raw)
    return [_decode(node, variables)]


def word_of(node: Node, variables: Mapping[str, str]) -> Word:
    """Return the one word that a node stands for; a dynamic one when it may stand for several."""
    words = decode(node, variables)
    return words[0] if len(words) == 1 else Word(_text(node), dynamic=True)


def _text(node: Node) -> str:
    return (node.text or b"").decode(errors="replace")


def _decode(node: Node, variables: Mapping[str, str]) -> Word:
    kind, raw = node.type, _text(node)
    if kind in {
        "word",
        "number",
        "variable_name",
        "special_variable_name",
        "test_operator",
        "extglob_pattern",
    }:
        if any(child.type != "word" for child in node.children):
            return Word(raw, dynamic=True)
        return Word(_ESCAPE.sub(_unescaped, raw), glob=bool(_GLOBS.search(_ESCAPE.sub("", raw))))
    if kind == "raw_string":
        return Word(raw[1:-1])
    if kind == "ansi_c_string":
        return Word(_ansi(raw[2:-1]))
    if kind == "string":
        return _string(node, variables)
    if kind == "concatenation":
        return _join(node, variables)
    value = _value(node, variables)
    # What a glob matches may be split into words.
    if value is None or isinstance(value, Matched) or not value or re.search(r"\s", value):
        return Word(raw, dynamic=True)
    return Word(value, glob=bool(_GLOBS.search(value)))


def _unescaped(match: re.Match[str]) -> str:
    return "" if match[1] == "\n" else match[1]


def _string(node: Node, variables: Mapping[str, str]) -> Word:
    text, at, matched = "", node.start_byte + 1, False
    source = node.text or b""
    for child in node.children:
        if child.type in {'"', "string_content"}:
            continue
        text += _quoted(source[at - node.start_byte : child.start_byte - node.start_byte])
        value = _value(child, variables)
        if value is None:
            return Word(_text(node), dynamic=True)
        matched = matched or isinstance(value, Matched)
        text += value
        at = child.end_byte
    text += _quoted(source[at - node.start_byte : -1])
    return Word(_text(node), dynamic=True, place=text) if matched else Word(text)


def _quoted(text: bytes) -> str:
    return _IN_STRING.sub(_unescaped, text.decode(errors="replace"))


def _value(node: Node, variables: Mapping[str, str]) -> str | None:
    """Return what an expansion of a variable becomes, where that is known."""
    text = _text(node)
    if node.type not in {"simple_expansion", "expansion"}:
        return None
    match = re.match(r"\$\{?(\w+)", text)
    return expand(text, variables[match[1]]) if match and match[1] in variables else None


def _join(node: Node, variables: Mapping[str, str]) -> Word:
    parts, places, dynamic, glob = [], [], False, False
    for child in node.children:
        if child.type == "brace_expression":
            return Word(_text(node), dynamic=True)
        value = _value(child, variables)
        if value is not None and not re.search(r"[\s*?\[]", value):
            parts.append(value)
            places.append(value)
            continue
        if child.type == "$":  # before a string that would be translated
            continue
        word = _decode(child, variables)
        parts.append(word.text)
        places.append("" if word.dynamic and not word.place else word.path.text)
        dynamic, glob = dynamic or word.dynamic, glob or word.glob
    text = "".join(parts)
    # An unquoted expansion in the middle may be split into words, one of which may be an option.
    split = any(child.type not in {"string", "word", "raw_string", "number"} for child in node.children)
    operand = dynamic and not split and text[:1] not in '"$`-'
    place = "".join(places) if dynamic and not split and all(places) else ""
    return Word(text, dynamic=dynamic, glob=glob, operand=operand, place=place)


def _ansi(text: str) -> str:
    def value(match: re.Match[str]) -> str:
        code = match[1]
        try:
            if code[0] in "xuU" and len(code) > 1:
                return chr(int(code[1:], 16))
            if code[0] in "01234567":
                return chr(int(code, 8) & 0xFF)
        except (ValueError, OverflowError):
            return ""
        if code[0] == "c" and len(code) > 1:
            return chr(ord(code[1]) & 0x1F)
        return _ANSI_LETTERS.get(code, code if code in "\\'\"?" else "\\" + code)

    return _ANSI.sub(value, text).partition("\0")[0]


def _braces(raw: str) -> list[Word]:
    """Return what a word with braces stands for, when nothing in it is quoted or expanded."""
    if re.search(r"[\\'\"$`]", raw):
        return [Word(raw, dynamic=True)]
    texts = list(itertools.islice(_spelled_out(raw), _MOST_BRACES + 1))
    if len(texts) > _MOST_BRACES or None in texts:
        return [Word(raw, dynamic=True)]
    return [Word(text, glob=bool(_GLOBS.search(text))) for text in texts if text is not None]


def _spelled_out(raw: str) -> Iterator[str | None]:
    """Yield the words, and None for what bash may understand in another way."""
    match = _BRACES.search(raw)
    if match is None:
        yield raw
        return
    inner = match[1]
    spread = _RANGE.fullmatch(inner)
    items = _spread(spread[1], spread[2]) if spread else inner.split(",")
    if len(items) < 2:
        yield raw if inner == "" else None
        return
    for item in items:
        yield from _spelled_out(raw[: match.start()] + item + raw[match.end() :])


def _spread(first: str, last: str) -> list[str]:
    if first.lstrip("-").isdigit() != last.lstrip("-").isdigit():
        return []
    numbers = first.lstrip("-").isdigit()
    one, other = (int(first), int(last)) if numbers else (ord(first), ord(last))
    if abs(one - other) >= _MOST_BRACES or (numbers and re.match(r"-?0\d", first + "," + last)):
        return []
    step = 1 if one <= other else -1
    return [str(value) if numbers else chr(value) for value in range(one, other + step, step)]

"""GBNF grammars in the notation that llguidance reads, with exactly the same language."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_SPACE = re.compile(r"(?:[ \t]|#[^\r\n]*)*")
_LINES = re.compile(r"(?:[ \t\r\n]|#[^\r\n]*)*")
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([nrt\\\"\[\]^-]))")
_REPEAT = re.compile(r"\{\s*(\d+)\s*(,?)\s*(\d*)\s*\}")
_PLAIN = {"n": "\n", "r": "\r", "t": "\t"}
_DEPTH = 200


class GrammarError(ValueError):
    """A grammar that cannot be read; the message says where."""


def lark(text: str) -> str:
    """Return the grammar in Lark's form, with one terminal for each character.

    A terminal of several characters would be matched greedily, which changes what a context-free
    grammar allows: after `[a-z]+` nothing could begin with a letter.

    Args:
        text: The grammar; its first rule to be used is `root`.

    Raises:
        GrammarError: The grammar cannot be read, or names a rule that it does not have.

    Source: the GBNF guide of llama.cpp, and llguidance's guide to its Lark syntax.
    """
    parser = _Parser(text)
    rules = parser.rules()
    if "root" not in rules:
        raise GrammarError("it has no rule named root")
    missing = sorted(parser.references - rules.keys())
    if missing:
        raise GrammarError(f"it has no rule named {missing[0]}")
    names = {name: "start" if name == "root" else f"r{number}" for number, name in enumerate(rules)}
    lines = (f"{names[name]}: {_written(body, names)}" for name, body in rules.items())
    return "\n".join(("%llguidance {}", "", *lines, ""))


@dataclass(frozen=True, slots=True)
class _Reference:
    name: str


_Part = str | _Reference


def _written(parts: tuple[_Part, ...], names: dict[str, str]) -> str:
    return " ".join(names[part.name] if isinstance(part, _Reference) else part for part in parts)


class _Parser:
    """Reads rules; a body becomes Lark's tokens with references to be renamed."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self.references: set[str] = set()

    def rules(self) -> dict[str, tuple[_Part, ...]]:
        """Return the bodies by name."""
        rules: dict[str, tuple[_Part, ...]] = {}
        self._skip(_LINES)
        while self._at < len(self._text):
            name = self._match(_NAME, "a rule's name").group()
            self._skip(_SPACE)
            self._expect("::=")
            self._skip(_LINES)
            if name in rules:
                raise self._error(f"the rule {name} is there twice")
            rules[name] = tuple(self._alternatives(0))
            self._skip(_LINES)
        return rules

    def _alternatives(self, depth: int) -> list[_Part]:
        if depth > _DEPTH:
            raise self._error("groups are nested too deeply")
        parts = self._sequence(depth)
        while self._peek() == "|":
            self._at += 1
            self._skip(_LINES)
            parts += ["|", *self._sequence(depth)]
        return parts

    def _sequence(self, depth: int) -> list[_Part]:
        space = _LINES if depth else _SPACE
        parts: list[_Part] = []
        while True:
            self._skip(space)
            item = self._item(depth)
            if item is None:
                return parts or ['""']
            self._skip(space)
            parts += self._repeated(item)

    def _item(self, depth: int) -> list[_Part] | None:
        mark = self._peek()
        if mark == '"':
            return self._literal()
        if mark == "[":
            return [self._class()]
        if mark == ".":
            self._at += 1
            return [r"/[\s\S]/"]
        if mark == "(":
            self._at += 1
            self._skip(_LINES)
            inner = self._alternatives(depth + 1)
            self._expect(")")
            return ["(", *inner, ")"]
        name = _NAME.match(self._text, self._at)
        if name is None:
            return None
        self._at = name.end()
        self.references.add(name.group())
        return [_Reference(name.group())]

    def _repeated(self, item: list[_Part]) -> list[_Part]:
        mark = self._peek()
        if mark and mark in "*+?":
            self._at += 1
            return ["(", *item, ")" + mark]
        if mark != "{":
            return item
        repeat = self._match(_REPEAT, "a number of repetitions")
        least, comma, most = repeat.groups()
        upper = most if comma else least
        if upper and int(upper) < int(least):
            raise self._error("a repetition ends below where it begins")
        return ["(", *item, ")" + f"{{{least},{upper}}}"]

    def _literal(self) -> list[_Part]:
        self._at += 1
        parts: list[_Part] = []
        while self._peek() != '"':
            parts.append(f"/{_quoted(self._character())}/")
        self._at += 1
        return ["(", *parts, ")"] if parts else ['""']

    def _class(self) -> str:
        self._at += 1
        inside = ""
        if self._peek() == "^":
            self._at += 1
            inside = "^"
        while self._peek() != "]":
            low = high = self._character()
            if self._peek() == "-" and self._text[self._at + 1 : self._at + 2] != "]":
                self._at += 1
                high = self._character()
            if high < low:
                raise self._error("a range of characters ends before it begins")
            inside += _quoted(low) + (f"-{_quoted(high)}" if high != low else "")
        self._at += 1
        if inside in ("", "^"):
            raise self._error("a class of characters is empty")
        return f"/[{inside}]/"

    def _character(self) -> str:
        if self._peek() in ("", "\n", "\r"):
            raise self._error("a text or a class does not end")
        if self._peek() != "\\":
            self._at += 1
            return self._text[self._at - 1]
        escape = self._match(_ESCAPE, "an escape")
        number = next((group for group in escape.groups()[:3] if group), None)
        if number is None:
            return _PLAIN.get(escape[4], escape[4])
        if int(number, 16) > 0x10FFFF or 0xD800 <= int(number, 16) < 0xE000:
            raise self._error("an escape is no character")
        return chr(int(number, 16))

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _skip(self, pattern: re.Pattern[str]) -> None:
        found = pattern.match(self._text, self._at)
        self._at = found.end() if found else self._at

    def _match(self, pattern: re.Pattern[str], what: str) -> re.Match[str]:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise self._error(f"{what} was expected")
        self._at = found.end()
        return found

    def _expect(self, text: str) -> None:
        if not self._text.startswith(text, self._at):
            raise self._error(f"{text} was expected")
        self._at += len(text)

    def _error(self, reason: str) -> GrammarError:
        line = self._text.count("\n", 0, self._at) + 1
        return GrammarError(f"in line {line}, {reason}")


def _quoted(character: str) -> str:
    """Return the character for use in a regular expression, in a class or outside of one."""
    if character.isascii() and character.isalnum():
        return character
    code = ord(character)
    return f"\\x{{{code:X}}}"

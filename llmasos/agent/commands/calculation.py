"""What bash calculates with: it runs the commands in a subscript of what it takes for a number."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .words import Word, decode

if TYPE_CHECKING:
    from tree_sitter import Node

ANY = "?"
"""The source of what may be any text."""
_ARGUMENTS = "@"
_NAME = re.compile(r"(?<![\w#])[A-Za-z_]\w*")
_DIGITS = re.compile(r"[-+]?(0x[0-9a-fA-F]+|\d+#\w+|\d*)")
_TEXTS = re.compile(r"PWD|OLDPWD|HOME|PATH|REPLY|MAPFILE|OPTARG|DIRSTACK|HOSTNAME|_|BASH_\w+|COMP_\w+|COPROC")
_INTEGERS = frozenset(
    {"RANDOM", "SRANDOM", "SECONDS", "LINENO", "HISTCMD", "OPTIND", "BASHPID", "EPOCHSECONDS"}
)
_COMPARES = frozenset({"-eq", "-ne", "-lt", "-le", "-gt", "-ge"})
_NESTED = frozenset({"command_substitution", "process_substitution", "expansion", "simple_expansion"})
_PARTS = re.compile(r"\$\{[^:/#%^,]*:(?![-=?+])")
_DATE = re.compile(r"\+(%[-_0]?[sYmdHMSjuwNVUyCIklGg])+")
_LONGEST = 500_000
_RANGE = re.compile(r"\{-?\d+\.\.-?\d+(\.\.-?\d+)?\}")
_FORMAT = re.compile(r"%0?\d*d")


@dataclass
class Numbers:
    """The variables of a text: which are calculated with, and where their values come from."""

    calculated: dict[str, None] = field(default_factory=dict)
    functions: set[str] = field(default_factory=set)
    _sources: dict[str, set[str]] = field(default_factory=dict)

    def calculate(self, names: set[str]) -> None:
        """Note variables that are calculated with."""
        self.calculated.update(dict.fromkeys(sorted(names)))

    def give(self, name: str, sources: set[str]) -> None:
        """Note the variables whose values another one gets."""
        if name in _INTEGERS:
            self.calculated[name] = None
        self._sources.setdefault(name, set()).update(sources)

    def unclear(self) -> str:
        """Return a variable that is calculated with and may hold any text; empty when there is none."""
        for name in self.calculated:
            seen, rest = set(), [name]
            while rest:
                source = rest.pop()
                if source == ANY or _TEXTS.fullmatch(source):
                    return name
                if source not in seen:
                    seen.add(source)
                    rest += self._sources.get(source, ())
        return ""


def is_number(text: str) -> bool:
    """Return whether a text is a number, or nothing."""
    return _DIGITS.fullmatch(text) is not None


def is_variable(text: str) -> bool:
    """Return whether a text names a variable, or an element of one, and nothing that is calculated."""
    return re.fullmatch(r"[A-Za-z_]\w*(\[(\d+|[@*])\])?", text) is not None


def is_number_format(text: str) -> bool:
    """Return whether `printf` makes numbers by a format."""
    return _FORMAT.fullmatch(text) is not None


def names_in(text: str) -> set[str]:
    """Return the variables that a text names where bash calculates."""
    if re.search(r"\$[({\[]|`", text):
        return {ANY}
    return set(_NAME.findall(text)) | ({_ARGUMENTS} if re.search(r"\$\{?[\d@*]", text) else set())


def note_numbers(root: Node, numbers: Numbers) -> None:
    """Note what a syntax tree calculates with, and what its variables hold."""
    nodes, length, starts = [root], 0, {"set"}
    for node in _below(root):
        if node.type == "function_definition" and (called := node.child_by_field_name("name")):
            numbers.functions.add(_text(called))
            numbers.give(f"{_text(called)}()", {ANY})
    starts |= numbers.functions
    while nodes:
        node = nodes.pop()
        nodes += node.children
        kind = node.type
        if kind in {"arithmetic_expansion", "subscript", "expansion"}:
            length += node.end_byte - node.start_byte
            if length > _LONGEST:
                numbers.calculate({ANY})
                return
        if kind in {"arithmetic_expansion", "subscript"} or _is_calculation(node):
            parts = node.children[1:] if kind == "subscript" else [node]
            for part in parts:
                numbers.calculate(_calculated(part))
        elif kind == "c_style_for_statement":
            for part in node.children:
                if part.type != "do_group":
                    numbers.calculate(_calculated(part))
        elif kind == "expansion":
            if match := _PARTS.match(_text(node)):
                numbers.calculate(_calculated(node, match.end()))
            if re.match(r"\$\{\w+:?=", _text(node)):
                numbers.give(re.split(r"\W", _text(node)[2:])[0], {ANY})
        elif kind == "array" and not _is_named_by_text(node):
            for element in node.children:
                if match := re.match(r"\[(.*)\]\+?=", _text(element), re.DOTALL):
                    numbers.calculate(names_in(match[1]))
        elif kind == "test_command":
            _test(node, numbers)
        elif kind == "variable_assignment" and len(node.children) > 1:
            name = re.split(r"\W", _text(node.children[0]))[0]
            value = node.children[-1]
            numbers.give(name, set() if value.type in {"=", "+="} else sources_of(value))
        elif kind == "for_statement" and (variable := node.child_by_field_name("variable")):
            values = node.children_by_field_name("value")
            written = any(child.type == "in" for child in node.children)
            found = {source for value in values for source in _listed(value)} if written else {_ARGUMENTS}
            numbers.give(_text(variable), {ANY} if node.children[0].type == "select" else found)
        elif kind == "command":
            words = [child for child in node.children if child.type != "variable_assignment"]
            start = next((at for at, word in enumerate(words) if _text(word) in starts), len(words))
            for word in words[start + 1 :]:
                numbers.give(_ARGUMENTS, set() if _text(word) == "--" else _listed(word))


def sources_of(node: Node) -> set[str]:
    """Return the variables whose values a value is made of; `ANY` where it may be any text."""
    kind, text = node.type, _text(node)
    if kind == "arithmetic_expansion":
        return set()
    if kind == "command_substitution":
        return _printed(node)
    if kind == "simple_expansion":
        name = text[1:]
        if name in {"#", "?", "$", "!"}:
            return set()
        return {_ARGUMENTS} if re.fullmatch(r"[1-9@*]", name) else {name if name.isidentifier() else ANY}
    if kind == "expansion":
        return _expanded(text)
    if kind in {"string", "concatenation", "array"}:
        parts = [child for child in node.children if child.type not in {'"', "(", ")", "$"}]
        return {source for part in parts for source in sources_of(part)}
    if kind in {"raw_string", "ansi_c_string"}:
        text = text.strip("$'")
    return set() if is_number(text) else {ANY}


def _text(node: Node) -> str:
    return (node.text or b"").decode(errors="replace")


def _below(node: Node) -> Iterator[Node]:
    nodes = [node]
    while nodes:
        node = nodes.pop()
        yield node
        nodes += node.children


def _is_named_by_text(array: Node) -> bool:
    """Return whether the elements of an array are declared to have texts for names."""
    around = array.parent.parent if array.parent is not None else None
    return around is not None and bool(re.match(r"(declare|typeset|local)\s+(-\w+\s+)*-\w*A", _text(around)))


def _is_calculation(node: Node) -> bool:
    return node.type == "compound_statement" and bool(node.children) and node.children[0].type == "(("


def _calculated(node: Node, skip: int = 0) -> set[str]:
    """Return what a node calculates with: the names in it, and the sources of its expansions."""
    source, found = bytearray(node.text or b""), set()
    nodes = [child for child in node.children] if node.type not in _NESTED or skip else [node]
    while nodes:
        child = nodes.pop()
        if child.type in _NESTED:
            start = child.start_byte - node.start_byte
            source[start : child.end_byte - node.start_byte] = b"\0" * (child.end_byte - child.start_byte)
            if start >= skip:
                found |= sources_of(child)
        else:
            nodes += child.children
    text = source[skip:].decode(errors="replace").removeprefix("$")
    if re.search(r"[A-Za-z_]\w*\0|\0\w*[A-Za-z_]|[$`\\]", text):
        found.add(ANY)  # a name or a substitution is put together
    return found | names_in(text)


def _test(node: Node, numbers: Numbers) -> None:
    """Note what a test compares as numbers, and variables that it looks for by their names."""
    calculates = bool(node.children) and node.children[0].type == "[["
    nodes = list(node.children)
    while nodes:
        child = nodes.pop()
        kind = child.type
        operator = child.child_by_field_name("operator")
        sign = _text(operator) if operator is not None else ""
        if calculates and kind == "binary_expression" and sign in _COMPARES:
            for side in child.children:
                if side != operator:
                    numbers.calculate(_calculated(side))
        elif kind == "unary_expression" and sign in {"-v", "-R"}:
            named = [decode(side, {})[0] for side in child.children if side != operator]
            numbers.calculate({ANY for word in named if word.dynamic or not is_variable(word.text)})
        elif not calculates and kind in _NESTED:
            # It may become several words, and ask for a variable as well.
            numbers.calculate(sources_of(child))
        if kind not in _NESTED and (calculates or kind != "string"):
            nodes += child.children


def _expanded(text: str) -> set[str]:
    match = re.match(r"\$\{(\w+|[@*])(\[[^\]]*\])?(.*)\}$", text, re.DOTALL)
    if text.startswith("${#") or (match and re.fullmatch(r"//\[[!^]0-9\]/?", match[3])):
        return set()
    if not match or not re.fullmatch(r"|[#%].*|:?-\d+|:(?![-=?+]).*", match[3], re.DOTALL):
        return {ANY}
    return {_ARGUMENTS if match[1] in "@*" or match[1].isdigit() else match[1]}


def _listed(node: Node) -> set[str]:
    """Return the sources of a word that may stand for several."""
    words = decode(node, {})
    if all(is_number(word.text) and not word.dynamic for word in words) or _RANGE.fullmatch(_text(node)):
        return set()
    return sources_of(node)


def _printed(node: Node) -> set[str]:
    """Return the sources of what commands print; none where that is numbers, whatever they are given."""
    statements = [child for child in node.children if child.is_named]
    last = statements[0] if len(statements) == 1 else node
    if last.type == "pipeline":
        last = last.children[-1]
    if last.type == "redirected_statement":
        last = last.child_by_field_name("body") or last
    called = last.child_by_field_name("name") if last.type == "command" else None
    if called is None or any(child.type == "variable_assignment" for child in last.children):
        return {ANY}
    arguments = last.children_by_field_name("argument")
    words = [word for argument in arguments for word in decode(argument, {})]
    name = _text(called)
    if name in {"seq", "expr"}:
        found = {source for argument in arguments for source in _operand(argument)}
        return {f"{name}()", *found}
    return {f"{name}()"} if _prints_numbers(name, words) else {ANY}


def _operand(node: Node) -> set[str]:
    words = decode(node, {})
    if len(words) == 1 and not words[0].dynamic and words[0].text in {"+", "-", "*", "/", "%", "(", ")"}:
        return set()
    return sources_of(node)


def _prints_numbers(name: str, words: list[Word]) -> bool:
    texts = [word.text for word in words]
    if name == "nproc":
        return True
    if name == "date":
        while texts and texts[0] in {"-d", "-r", "-u"}:
            texts = texts[1:] if texts[0] == "-u" else texts[2:]
        return len(texts) == 1 and _DATE.fullmatch(texts[0]) is not None
    if any(word.dynamic for word in words):
        return False
    if name == "wc":
        return all(re.fullmatch(r"-[clmwL]+|--(bytes|chars|lines|words)", text) for text in texts)
    if name == "grep":
        flags = [text for text in texts if text.startswith("-")]
        counts = any("c" in flag for flag in flags)
        return (
            counts
            and len(texts) - len(flags) < 3
            and all(re.fullmatch(r"-[civwxEFPs]+", flag) for flag in flags)
            and not any(word.glob for word in words[-1:])
        )
    if name == "stat":
        return bool(re.fullmatch(r"-c ?%[sYXZWaugbBhi]", " ".join(texts[:-1]))) and bool(texts)
    if name == "tr":
        return texts in (["-cd", "0-9"], ["-cd", "[:digit:]"], ["-dc", "0-9"], ["-dc", "[:digit:]"])
    if name == "git":
        return texts[:2] == ["rev-list", "--count"]
    return name == "id" and texts in (["-u"], ["-g"])

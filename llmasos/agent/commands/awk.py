"""Awk: what its programs write, read and run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from .simple import Runner, options
from .table import names
from .words import Word

_VALUED = names("-F -v -e --field-separator --assign --source")
_HARMLESS = _VALUED | names(
    "-b -c -C -h -k -M -n -N -O -P -r -s -S -t -V --characters-as-bytes --csv --traditional --posix"
    " --non-decimal-data --optimize --re-interval --sandbox --version --help --lint"
)
_TOKEN = re.compile(
    r'(?P<blank>(?:[ \t]|\\\n)+)|(?P<comment>#[^\n]*)|(?P<string>"(?:\\.|[^"\\\n])*")'
    r"|(?P<number>0[xX][\da-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)|(?P<name>[A-Za-z_]\w*)|(?P<sign>&&|\|\||\|&|\+\+|--|>>|[^\s\w\\#\"'`@])"
    r"|(?P<line>\n)",
    re.DOTALL,
)
_PATTERN = re.compile(r"/(?:\\.|[^/\\\n])*/")
_BEFORE_PATTERNS = names(
    "print printf return in if else while for do case next exit break continue delete BEGIN END and or not"
)
_CONTROL = frozenset({"if", "while", "for", "switch"})
_UNCLEAR = frozenset({"string", "pattern", "++", "--", "getline", "length", "control"})
_GOES_ON = frozenset({",", "&&", "||", "{", "do", "else"})


def awk(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note what `awk` does: its files, and what its program writes or runs."""
    runner.note(name, words)
    parsed = options(words[1:], _VALUED | {"-f", "-i", "-l", "-E", "-W"}, permute=False)
    sources = parsed.values("-e", "--source")
    operands = parsed.operands
    if strange := parsed.first_but(_HARMLESS):
        runner.found.undecided(f"What {name} does by {strange} cannot be known.")
    elif not sources:
        sources, operands = operands[:1], operands[1:]
    for program in sources:
        if program.dynamic:
            runner.found.undecided(f"What {name} does by `{program.text}` cannot be known.")
        else:
            _program(runner, name, program.text)
    runner.reads(word for word in operands if not re.match(r"[A-Za-z_]\w*=", word.text))


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """Yield the kinds and texts of the tokens of a program.

    Raises:
        ValueError: A slash may begin a pattern or divide, or it is no program.
    """
    at, last, control = 0, "", [False]
    while at < len(text):
        if text[at] == "/":
            divides = last in {"number", "name", ")", "]"}
            if last in _UNCLEAR:
                raise ValueError(text)
            if not divides:
                match = _PATTERN.match(text, at)
                if not match or _in_brackets(match[0][1:-1]):
                    raise ValueError(text)
                yield "pattern", match[0]
                at, last = match.end(), "pattern"
                continue
        match = _TOKEN.match(text, at)
        if not match or (match["comment"] or "").endswith("\\"):
            raise ValueError(text)
        kind, piece, at = str(match.lastgroup), match[0], match.end()
        if kind in {"blank", "comment"}:
            continue
        yield kind, piece
        if piece == "(":
            control.append(last in _CONTROL)
        if piece == ")" and len(control) > 1 and control.pop():
            last = "control"
        elif kind == "name":
            last = piece if piece in _BEFORE_PATTERNS | _CONTROL | _UNCLEAR else "name"
        else:
            last = piece if kind == "sign" else kind


def _in_brackets(pattern: str) -> bool:
    """Return whether a slash that ends a pattern may be one of its characters."""
    bare = re.sub(r"\\.", "x", pattern)
    return re.search(r"\[\^?\]?[^\]]*$", re.sub(r"\[\^?\]?(?:\[:\w+:\]|[^\]\[])*\]", "", bare)) is not None


def _program(runner: Runner, name: str, text: str) -> None:
    try:
        pieces = list(_tokens(text))
    except ValueError:
        runner.found.undecided(f"What {name} does by `{text}` is not known.")
        # As much of it as can be told.
        pieces = [(str(match.lastgroup), match[0]) for match in _TOKEN.finditer(text)]
    strings = [piece[1:-1] for kind, piece in pieces if kind == "string"]
    if any(piece in {"system", "|", "|&"} for kind, piece in pieces if kind in {"name", "sign"}):
        for string in strings:
            runner.under(name).bash(re.sub(r"\\(.)", r"\1", string))
        runner.found.undecided(f"{name} runs commands or opens files by its program.")
    if any(string.startswith("/inet") for string in strings):
        runner.found.reach()
        runner.found.undecided(f"{name} opens a connection.")
    if ("name", "ARGV") in pieces:
        runner.reads(Word(string) for string in strings)
    _files(runner, pieces)


def _files(runner: Runner, pieces: list[tuple[str, str]]) -> None:
    """Note the files that a program reads by `getline`, and those that it prints to."""
    prints, depth, last, asks = False, 0, "", False
    for at, (kind, piece) in enumerate(pieces):
        after = pieces[at + 1] if at + 1 < len(pieces) else ("", "")
        if kind == "name" and piece in {"print", "printf"}:
            prints, depth = True, 0
        elif piece in {";", "}"} or (kind == "line" and last not in _GOES_ON):
            prints = asks = False
        elif kind == "name" and piece == "getline":
            asks = True
        elif kind == "sign":
            depth += (piece in "([") - (piece in ")]")
            if piece in {">", ">>"} and prints and depth <= 0:
                ends = at + 2 >= len(pieces) or pieces[at + 2][1] in {";", "}", "\n"}
                known = after[0] == "string" and ends and "\\" not in after[1]
                runner.writes([Word(after[1][1:-1]) if known else Word(after[1], dynamic=True)])
            elif piece == "<" and asks and after[0] == "string":
                runner.reads([Word(after[1][1:-1])])
        if kind != "line":
            last = piece


HANDLERS = dict.fromkeys(("awk", "gawk", "mawk", "nawk"), awk)

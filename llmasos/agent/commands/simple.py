"""Simple commands: a program with its words, whatever is wrapped around it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from .emptying import emptied_by
from .program import Command, Findings
from .table import SPECS, Spec
from .words import Word

_SYSTEM = frozenset({"/bin", "/usr/bin", "/usr/local/bin", "/sbin", "/usr/sbin"})
_DEEPEST = 12
BACKUP = re.compile(r"[.~_-]?(bak|backup|orig|old|save|~)?\d?")
"""What the name of a copy ends with, where it is the copy of no other file."""


@dataclass
class Parsed:
    """The words of a program, sorted.

    Args:
        options: Options with their values; `?` for a word that may turn out to be one.
        operands: The other words.
    """

    options: list[tuple[str, Word | None]] = field(default_factory=list)
    operands: list[Word] = field(default_factory=list)

    def has(self, *names: str) -> bool:
        """Return whether one of these options is given, also where it is shortened."""
        return any(matches(option, name) for option, _ in self.options for name in names)

    def first_but(self, harmless: Iterable[str]) -> str:
        """Return the first option that is none of these; empty when there is none."""
        known = frozenset(harmless)
        found = next((option for option, _ in self.options if not _is_one_of(option, known)), "")
        return "what may be an option" if found == "?" else found

    def values(self, *names: str) -> list[Word]:
        """Return the values of these options."""
        found = []
        for option, value in self.options:
            if value is not None and any(matches(option, name) for name in names):
                found.append(value)
        return found


def matches(option: str, name: str) -> bool:
    """Return whether an option is the named one, or a shorter spelling of it."""
    return option == name or (option.startswith("--") and len(option) > 2 and name.startswith(option))


def options(words: Iterable[Word], valued: Iterable[str] = (), *, permute: bool = True) -> Parsed:
    """Return the options and operands of a program.

    Args:
        words: Its words, without its name.
        valued: Options that take a value.
        permute: Whether options may follow operands.
    """
    parsed, rest, takes = Parsed(), list(words), frozenset(valued)
    while rest:
        word = rest.pop(0)
        text = word.text
        if text == "--" and not word.dynamic:
            parsed.operands += rest
            break
        if not word.may_be_option:
            parsed.operands.append(word)
            if not permute:
                parsed.operands += rest
                break
        elif not text.startswith("-"):
            parsed.options.append(("?", word))
            parsed.operands.append(word)
        elif text.startswith("--"):
            name, equals, value = text.partition("=")
            if equals:
                parsed.options.append((name, Word(value, word.dynamic, word.glob)))
            elif any(matches(name, taken) for taken in takes) and rest:
                parsed.options.append((name, rest.pop(0)))
            else:
                parsed.options.append((name, None))
        else:
            _cluster(parsed, word, takes, rest)
    return parsed


def _cluster(parsed: Parsed, word: Word, takes: frozenset[str], rest: list[Word]) -> None:
    if word.text in takes and rest:
        parsed.options.append((word.text, rest.pop(0)))
        return
    for at, letter in enumerate(word.text[1:], 2):
        name = f"-{letter}"
        if name in takes:
            after = word.text[at:]
            value = Word(after, word.dynamic, word.glob) if after else (rest.pop(0) if rest else None)
            parsed.options.append((name, value))
            return
        parsed.options.append((name, None))
    if word.dynamic:
        parsed.options.append(("?", word))


class Runner:
    """Finds out what commands do, and notes it.

    Args:
        found: Where it is noted.
        depth: How many texts lie around this one.
        wrappers: The programs that start it.
    """

    def __init__(self, found: Findings, depth: int = 0, wrappers: tuple[str, ...] = ()) -> None:
        self.found = found
        self.depth = depth
        self.wrappers = wrappers

    def run(self, words: Sequence[Word], stdin: str | None = None) -> None:
        """Note what a simple command does.

        Args:
            words: Its words.
            stdin: What it reads from its standard input, when that is known.
        """
        from . import programs
        from .network import host_of

        found = self.found
        if not words:
            return
        head = words[0]
        folder, name = posixpath.split(head.text)
        if head.dynamic or head.glob or not name:
            self._note(head.text, words)
            found.undecided(f"Which program `{head.text}` is cannot be known.")
            return
        if self.depth > _DEEPEST:
            found.undecided("Commands lie too deep in each other.")
            return
        if folder and posixpath.normpath(folder) not in _SYSTEM:
            # A program of the folder may do anything that runs there, and most likely what its name says.
            found.execute(head.text)
            if name not in programs.HANDLERS and name not in SPECS:
                self._note(name, words)
                return
        if not head.text.isascii():
            found.vague(f"{head.text!r} may look like another program.")
        if handler := programs.HANDLERS.get(name):
            handler(self, name, words, stdin)
            return
        self.note(name, words)
        if spec := SPECS.get(name):
            self.apply(spec, options(words[1:], spec.takes), name)
        else:
            found.unknown(f"What {name} does is not known.")
            for word in words[1:]:
                if host := host_of(word.text):
                    found.reach(host)

    def note(self, name: str, words: Sequence[Word]) -> None:
        """Note a command, its program by its name alone."""
        self._note(name, (Word(name), *words[1:]))

    def _note(self, name: str, words: Sequence[Word]) -> None:
        self.found.commands.append(Command(name, tuple(word.text for word in words), self.wrappers))

    def under(self, name: str) -> Runner:
        """Return a runner for what a program starts."""
        return Runner(self.found, self.depth + 1, (*self.wrappers, name))

    def bash(self, text: str) -> None:
        """Note what a text of bash does."""
        from .bash import walk

        walk(text, self)

    def python(self, code: str) -> None:
        """Note what a piece of Python does."""
        from .python import analyse_python

        program = analyse_python(code, cwd=self.found.cwds[0], depth=self.depth + 1)
        self.found.merge(program)
        if program.commands:
            # Python looks for modules in the folder first, where a file may stand in for a library.
            self.found.execute()

    def apply(self, spec: Spec, parsed: Parsed, name: str) -> None:
        """Note what a program of the table does."""
        found = self.found
        # A file's name that is an option of such a program lets it write another file, not more.
        writes_anyway = spec.operands not in {"none", "read"} and not spec.risky
        risky = next((option for option, _ in parsed.options if _is_one_of(option, spec.risky)), "")
        if not risky and spec.risky & {"+", "@"}:
            risky = next((word.text for word in parsed.operands if word.text[:1] in spec.risky), "")
        if not risky and spec.shape:
            risky = next((w.text for w in parsed.operands if not re.fullmatch(spec.shape, w.text)), "")
        if not risky and spec.harmless:
            risky = parsed.first_but(spec.harmless | spec.takes | {"?"})
        if risky:
            found.unknown(f"{name} {risky} may run anything.")
        elif (spec.risky or spec.writes) and any(
            option == "?" and not (word is not None and (word.glob or word.place) and writes_anyway)
            for option, word in parsed.options
        ):
            found.undecided(f"The options of {name} are not known.")
        written = parsed.values(*spec.writes)
        self.writes(written)
        found.empty(*(word.text for word in emptied_by(name, parsed) if not word.dynamic))
        self.reads(parsed.values(*spec.files))
        skip = 0 if spec.unless and parsed.has(*spec.unless) else spec.skip
        if any(word.dynamic for word in parsed.operands[:skip]) and spec.operands != "read":
            skip = 0  # one that is not known may become many
        paths = [word.path for word in parsed.operands[skip:]]
        moved, into = (paths, written) if written else (paths[:-1], paths[-1:])
        found.tidying = name == "mkdir" or (
            spec.operands == "move" and found.arranges((w.text for w in moved), (w.text for w in into))
        )
        self._operands(spec, paths, written)
        found.tidying = False
        for suffix in parsed.values("--suffix", "-S") if spec.operands in {"last", "move"} else []:
            self.writes(
                Word(word.text + suffix.text, word.dynamic or suffix.dynamic)
                for word in written or parsed.operands[-1:]
                if not BACKUP.fullmatch(suffix.text)
            )

    def _operands(self, spec: Spec, paths: list[Word], elsewhere: list[Word]) -> None:
        kind, found = spec.operands, self.found
        if kind == "none":
            found.effects.add("reads")
        elif kind == "read":
            self.reads(paths)
        elif kind == "second":
            many = [word for word in paths[:1] if word.dynamic and not word.text.startswith('"')]
            self.reads(paths[:1])
            self.writes([*paths[1:], *many])
        elif kind == "write":
            self.writes(paths)
        elif kind == "delete":
            found.effects.add("deletes")
            self.deletes(paths)
        else:
            found.effects.add("writes")
            sources = paths if elsewhere or len(paths) < 2 else paths[:-1]
            self.reads(sources)
            if kind == "move":
                self.deletes(sources)
            self.writes(
                _arrivals(sources, elsewhere or paths[-1:] if elsewhere or len(paths) > 1 else [Word(".")])
            )

    def reads(self, words: Iterable[Word]) -> None:
        """Note paths that are read; those that are not known are left out."""
        self.found.read(*(word.path.text for word in words if not word.path.dynamic))

    def writes(self, words: Iterable[Word]) -> None:
        """Note paths that are written."""
        for word in words:
            if self.known(word.path):
                self.found.write(word.path.text)
            else:
                self.found.effects.add("writes")

    def deletes(self, words: Iterable[Word]) -> None:
        """Note paths that are deleted."""
        for word in words:
            if self.known(word.path):
                self.found.delete(word.path.text)
            else:
                self.found.effects.add("deletes")

    def known(self, word: Word) -> bool:
        """Return whether a word that matters is known, and note when it is not."""
        if word.dynamic:
            self.found.vague(f"What `{word.text}` is cannot be known.")
        return not word.dynamic


def _is_one_of(option: str, names: frozenset[str]) -> bool:
    return any(matches(option, name) for name in names)


def _arrivals(sources: Sequence[Word], targets: Sequence[Word]) -> list[Word]:
    """Return where files come to lie: at the target, or in it when that may be a folder."""
    found = list(targets)
    for target in targets:
        last = posixpath.basename(target.text)
        if len(sources) > 1 or last in {"", ".", ".."} or "." not in last:
            found += [
                Word(posixpath.join(target.text, posixpath.basename(source.text.rstrip("/"))))
                for source in sources
                if not target.dynamic and not source.dynamic
            ]
    return found

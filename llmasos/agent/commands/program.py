"""What commands and code do, as far as it can be told before they run."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from llmasos.decisions import Effect

from .calculation import Numbers
from .paths import looks_alike, normalise

NOWHERE = frozenset({"/dev/null", "/dev/stdin", "/dev/stdout", "/dev/stderr", "/dev/tty", "/dev/zero", "-"})
# Texts and data, by their endings.
_CONTENT = re.compile(
    r".*\.(md|markdown|txt|rst|adoc|org|tex|csv|tsv|jsonl?|ya?ml|toml|ini|xml|html?|log|eml|pdf|docx?|odt|xlsx?"
    r"|png|jpe?g|gif|svg)",
    re.IGNORECASE | re.DOTALL,
)
_PLACES = ("reads", "writes", "deletes", "empties", "runs")
# Content that no program obeys by its name.
_KEPT = re.compile(
    r".*\.(md|txt|rst|csv|tsv|log|pdf|docx?|odt|xlsx?|pptx?|png|jpe?g|gif|svg|webp|heic|mp[34]|mov|wav|zip)",
    re.IGNORECASE | re.DOTALL,
)
ENTROPY = frozenset({"/dev/random", "/dev/urandom"})


@dataclass(frozen=True)
class Command:
    """One simple command, without what is wrapped around it.

    Args:
        name: The program, without the folder it lies in; for Python the module that is used.
        words: The words as the program gets them, the program first.
        wrappers: The programs that start it, the outermost first.
    """

    name: str
    words: tuple[str, ...]
    wrappers: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """The words as one line."""
        return " ".join(self.words)


@dataclass(frozen=True)
class Program:
    """What a text of commands or code does.

    Args:
        commands: Every simple command in it, in the order in which it is written.
        effects: What all of them do.
        reads: Paths that are read, from the folder on, in one spelling.
        writes: Paths that are written, likewise.
        deletes: Paths that are deleted, likewise.
        empties: Those of the written ones in which nothing is left.
        runs: Those of the read ones that are run.
        tidied: Those of both that are new folders, or content that moves into one of these.
        hosts: Hosts that it wants to reach.
        dynamic: Whether a part of it that matters cannot be known before it runs.
        why: What made it dynamic or unknown, for people.
    """

    commands: tuple[Command, ...] = ()
    effects: frozenset[Effect] = frozenset()
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    deletes: tuple[str, ...] = ()
    empties: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    tidied: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    dynamic: bool = False
    why: tuple[str, ...] = ()


@dataclass
class Findings:
    """What has been found so far.

    Args:
        cwds: Where commands may run, from the folder on; None among them when it is not known.
        numbers: What bash calculates with.
        tidying: Whether what is noted now only makes folders, or moves content into these.
    """

    cwds: tuple[str | None, ...] = ("",)
    effects: set[Effect] = field(default_factory=set)
    commands: list[Command] = field(default_factory=list)
    dynamic: bool = False
    numbers: Numbers = field(default_factory=Numbers)
    tidying: bool = False
    _tidied: dict[str, bool] = field(default_factory=dict)
    _places: dict[str, dict[str, None]] = field(default_factory=dict)
    _hosts: dict[str, None] = field(default_factory=dict)
    _why: dict[str, None] = field(default_factory=dict)

    def read(self, *paths: str) -> None:
        """Note paths that are read."""
        self.effects.add("reads")
        self._place("reads", paths)

    def write(self, *paths: str) -> None:
        """Note paths that are written; one that leads nowhere is no effect."""
        real = [path for path in paths if path not in NOWHERE and not path.startswith("/dev/fd/")]
        if real or not paths:
            self.effects.add("writes")
        self._place("writes", real)

    def delete(self, *paths: str) -> None:
        """Note paths that are deleted."""
        self.effects.add("deletes")
        self._place("deletes", paths)

    def empty(self, *paths: str) -> None:
        """Note paths in which nothing is left."""
        self._place("empties", paths)

    def reach(self, *hosts: str) -> None:
        """Note hosts that are reached."""
        self.effects.add("network")
        self._hosts.update(dict.fromkeys(host for host in hosts if host))

    def execute(self, *paths: str) -> None:
        """Note files that are run."""
        self.effects.add("executes")
        self._place("reads", paths)
        self._place("runs", paths)
        for path in paths:
            if _CONTENT.fullmatch(path):
                # Content, which anybody may have written, becomes a program by being run.
                self.undecided(f"{path} is no program by its name.")

    def unknown(self, why: str) -> None:
        """Note that something may do anything."""
        self.effects.add("unknown")
        self._why[why] = None

    def undecided(self, why: str) -> None:
        """Note that something is known only when it runs, so that it may do anything."""
        self.dynamic = True
        self.unknown(why)

    def vague(self, why: str) -> None:
        """Note that it is known what is done, but not to what."""
        self.dynamic = True
        self._why[why] = None

    def enter(self, folder: str | None) -> None:
        """Note that what follows runs in another folder; None for one that is not known."""
        if folder is None:
            self.cwds = (None,)
        else:
            places = [None if cwd is None else normalise(folder, cwd)[0] for cwd in self.cwds]
            self.cwds = tuple(dict.fromkeys("" if place == "." else place for place in places))

    def arranges(self, moved: Iterable[str], folders: Iterable[str]) -> bool:
        """Return whether content moves, under its name, into folders of the view that were made for it."""
        places = [normalise(folder, cwd or "") for folder in folders for cwd in self.cwds]
        made = (not out and place[:1] not in "/." and self._tidied.get(place, False) for place, out in places)
        return None not in self.cwds and all(made) and all(map(_KEPT.fullmatch, moved))

    def merge(self, other: Program) -> None:
        """Note all that another text does, whose paths are in one spelling already."""
        self.commands.extend(other.commands)
        self.effects |= other.effects
        for kind in _PLACES:
            self._places.setdefault(kind, {}).update(dict.fromkeys(getattr(other, kind)))
        for path in (*other.writes, *other.deletes):
            self._tidied[path] = self._tidied.get(path, True) and path in other.tidied
        self._hosts.update(dict.fromkeys(other.hosts))
        self._why.update(dict.fromkeys(other.why))
        self.dynamic = self.dynamic or other.dynamic

    def program(self) -> Program:
        """Return what was found."""
        if name := self.numbers.unclear():
            self.undecided(f"Bash may run commands in what {name} holds, as it calculates with it.")
        reads, writes, deletes, empties, runs = (tuple(self._places.get(kind, ())) for kind in _PLACES)
        return Program(
            commands=tuple(self.commands),
            effects=frozenset(self.effects),
            reads=reads,
            writes=writes,
            deletes=deletes,
            empties=empties,
            runs=runs,
            tidied=tuple(path for path, tidied in self._tidied.items() if tidied),
            hosts=tuple(self._hosts),
            dynamic=self.dynamic,
            why=tuple(self._why),
        )

    def _place(self, kind: str, paths: Iterable[str]) -> None:
        for path in paths:
            if path in NOWHERE | ENTROPY or not path:
                continue
            if looks_alike(path):
                self.vague(f"{path!r} has characters that look like others or that are invisible.")
            if None in self.cwds and not path.startswith(("/", "~")):
                self.vague("It changes to a folder that is not known.")
            for cwd in self.cwds:
                place = normalise(path, cwd or "")[0]
                self._places.setdefault(kind, {})[place] = None
                if kind != "reads":
                    self._tidied[place] = self._tidied.get(place, True) and self.tidying

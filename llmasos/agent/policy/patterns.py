"""Patterns: a call as a rule that allows it and what is like it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Any

from pydantic import ValidationError

from llmasos.agent.commands.harmless import strange_words
from llmasos.agent.commands.table import names
from llmasos.agent.policy.facts import Call, Facts
from llmasos.agent.policy.rules import Rule, When

# Verbs that do to more or other plain words what they do to those that were seen. By other verbs words may be
# programs that are run, packages that are fetched, or what is lost or published.
_VERBS = {
    "git": names("commit status log diff show blame shortlog describe grep"),
    **dict.fromkeys(("hg", "svn"), names("commit status log diff")),
    **dict.fromkeys(("npm", "pnpm", "yarn", "bun"), names("test t start build lint format")),
    "deno": names("test lint fmt check bench"),
    "cargo": names("test build check clippy fmt doc bench"),
    "go": names("test build vet fmt list"),
    **dict.fromkeys(("swift", "zig", "dotnet", "stack"), names("test build")),
    **dict.fromkeys(("poetry", "pdm", "hatch"), names("check build show")),
    **dict.fromkeys(("pip", "pip3"), names("list show check freeze")),
    "composer": names("test validate show"),
    "terraform": names("plan validate fmt"),
    "ruff": names("check format"),
}
# What names a script of the project there, or a program.
_SCRIPTS = {program: ("run",) for program in ("npm", "pnpm", "yarn", "bun", "deno")}
_STARTS = {
    "bundle": ("exec",),
    **dict.fromkeys(("uv", "poetry", "pdm", "hatch"), ("run",)),
}
_CHECKERS = names(
    "pytest mypy pyright flake8 pylint black isort eslint prettier tsc jest vitest phpunit rspec"
)
_MODULES = re.compile(r"(python3?(?:\.\d+)?) -m ([\w.]+)")
_WORD = re.compile(r"[A-Za-z][\w:.-]*")
_LONGEST = 900
_MOST = 60


def rule_of(call: Call, facts: Facts) -> Rule | None:
    """Return a rule that allows a call and what is like it; None where nothing can be said to be like it.

    Args:
        call: The call.
        facts: What is known of it.
    """
    if facts.dynamic or not facts.effects:
        return None
    when: dict[str, Any] = {
        "tool": (escaped(call.tool),),
        "plugin": (escaped(facts.plugin),) if facts.plugin else False,
        "effects": tuple(sorted(facts.effects)),
        "dynamic": False,
        # Who lets a program be written does not let one be written that does more.
        "gains": tuple(sorted(facts.gains)) or False,
        "in_place": facts.in_place,
        # What a person knows of one project does not hold in another one.
        "folder": (escaped(facts.folder),) if facts.folder else False,
    }
    if facts.commands:
        strange = any(map(strange_words, facts.commands))
        found = map(_alone, facts.commands) if strange else map(_commands, facts.commands)
        when["commands"] = _unique(glob for globs in found for glob in globs)
        if any(glob.endswith(" *") for glob in when["commands"]):
            # Other words than plain ones may have something else run.
            when["options"] = False
    if facts.writes:
        when["writes"] = _unique(map(_folder, facts.writes))
    if facts.hosts:
        when["hosts"] = _unique(map(escaped, facts.hosts))
    exact = facts.effects & {"executes", "unknown", "deletes"} and not facts.commands and not facts.writes
    arguments = _arguments(call.arguments, everything=bool(exact), foreign=bool(facts.plugin))
    if arguments is None or any(len(when.get(name, ())) > _MOST for name in ("commands", "writes", "hosts")):
        return None
    if arguments:
        when["arguments"] = arguments
    try:
        return _rule(when)
    except ValidationError:
        return None  # A path or a command is longer than a glob may be.


def merged(rules: Sequence[Rule]) -> Rule:
    """Return one rule for what each of several like rules allows."""
    when = rules[0].when.model_dump(exclude_none=True, exclude_unset=True)
    for name in ("effects", "commands", "writes", "hosts"):
        if name in when:
            when[name] = _unique(glob for rule in rules for glob in getattr(rule.when, name))
    if "effects" in when:
        when["effects"] = tuple(sorted(when["effects"]))
    return _rule(when)


def escaped(text: str) -> str:
    """Return a glob that matches a text only."""
    # A leading `!` would turn the meaning round.
    return re.sub(r"[*?\[]|^!", r"[\g<0>]", text)


def _rule(when: dict[str, Any]) -> Rule:
    text = json.dumps(when, sort_keys=True, default=list)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    return Rule(
        id=f"always-{digest}",
        decision="allow",
        reason=_words(when),
        priority=50,
        when=When(**when),
        layer="user",
    )


def _words(when: dict[str, Any]) -> str:
    """Return the pattern in words."""
    parts = [str(when["tool"][0])]
    for name, words in (("commands", "running"), ("writes", "writing"), ("hosts", "reaching")):
        if name in when:
            globs = [glob for glob in when[name] if not (name == "commands" and f"{glob} *" in when[name])]
            parts.append(f"{words} {', '.join(globs[:4])}{', …' if len(globs) > 4 else ''}")
    if arguments := when.get("arguments"):
        parts.append("with " + ", ".join(f"{name} {', '.join(globs)}" for name, globs in arguments.items()))
    if when["folder"]:
        parts.append(f"in {when['folder'][0]}")
    if when["plugin"]:
        parts.append(f"of {when['plugin'][0]}")
    # Braces would be read as places for facts.
    text = " ".join(parts).replace("{", "(").replace("}", ")")
    return text if len(text) <= 400 else f"{text[:399]}…"


def _commands(command: str) -> Iterable[str]:
    """Yield globs for a simple command: its program and what it is told to do, with any other words."""
    words = command.split(" ")
    stem = ""
    if match := _MODULES.match(command):
        stem = match[0] if match[2] in _CHECKERS else ""
    elif words[0] in _CHECKERS:
        stem = words[0]
    else:
        stem = _stem(words)
    if not stem:
        return _alone(command)
    return (escaped(stem), f"{escaped(stem)} *")


def _alone(command: str) -> tuple[str, ...]:
    return (escaped(command),)


def _stem(words: Sequence[str]) -> str:
    """Return the words after which any may follow; an empty text when none may."""
    program, verb, third = (*words, "", "")[:3]
    if verb in _SCRIPTS.get(program, ()):
        return " ".join(words[:3]) if _WORD.fullmatch(third) else ""
    if verb in _STARTS.get(program, ()):
        return " ".join(words[:3]) if third in _CHECKERS else ""
    return f"{program} {verb}" if verb in _VERBS.get(program, ()) else ""


def _folder(path: str) -> str:
    parent = str(PurePosixPath(path).parent)
    return f"{escaped(parent)}/**" if parent not in (".", "/", "..") else f"./{escaped(path)}"


def _arguments(
    arguments: dict[str, Any], *, everything: bool, foreign: bool
) -> dict[str, tuple[str, ...]] | None:
    """Return globs for the arguments that have to stay as they are; None where they are too long."""
    found: dict[str, tuple[str, ...]] = {}
    for name, value in arguments.items():
        texts = [text for text in _texts(value) if text]
        if everything or (foreign and any(_directs(text) for text in texts)):
            if not texts:
                continue
            if sum(map(len, texts)) > _LONGEST:
                return None
            found[name] = _unique(map(escaped, texts))
    return found


def _directs(text: str) -> bool:
    return len(text) <= 300 and not re.search(r"\s", text) and re.search(r"[@.:/]", text) is not None


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list | tuple):
        return [text for item in value for text in _texts(item)]
    return [] if value is None else [json.dumps(value, default=str)]


def _unique(items: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(items))

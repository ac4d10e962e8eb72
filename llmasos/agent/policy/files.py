"""Files of rules: TOML with `[[rule]]` tables, read so far as it can be where something in it is wrong."""

from __future__ import annotations

import fcntl
import json
import os
import re
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from llmasos.agent.policy.rules import Layer, Rule, When
from llmasos.errors import ConfigError

_HEADER = re.compile(r"^[ \t]*\[{1,2}[ \t]*rule[ \t]*\]", re.MULTILINE)
_PROJECT_PRIORITY = 1000
STRICT = "you are asked about everything but reading"
_TEXTS = "a text, or a list of one text or more, each of 1 to 1,000 characters"
_CONDITIONS = When.model_fields.items()
_WANTED = {
    "id": "1 to 80 letters, digits, dots, hyphens and underscores, the first a letter or a digit",
    "decision": "'allow', 'ask' or 'deny'",
    "reason": "a text of at most 500 characters",
    "when": "a table of conditions, such as when.tool = 'write_file'",
    "when.arguments": "a table with an argument, such as when.arguments.path = 'docs/**'",
    "when.given": "true, false, or a whole number from 1 on",
    **dict.fromkeys(("when.only_effects", "when.access", "when.asking"), _TEXTS),
    **{f"when.{name}": "true or false" for name, field in _CONDITIONS if field.annotation == bool | None},
}
_Problem = tuple[tuple[str, ...], str]


@dataclass(frozen=True)
class Contents:
    """What a file of rules says.

    Args:
        name: The file.
        rules: The rules that count.
        notices: What is wrong, with line and rule.
        broken: Whether something is lost that might have asked or denied.
    """

    name: str
    rules: tuple[Rule, ...] = ()
    notices: tuple[str, ...] = ()
    broken: bool = False


def parse(text: str, name: str, layer: Layer, highest: int) -> Contents:
    """Return the rules of a file.

    Where something is wrong, the rules that ask and deny still count, and those that allow do not.

    Args:
        text: The file's content.
        name: The file, for what is said of it.
        layer: Whose rules they are.
        highest: The highest priority that they may have.
    """
    notices: list[str] = []
    rules: list[Rule] = []
    broken = False
    for line, chunk in _chunks(text):
        try:
            raw = tomllib.loads(chunk)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            notices.append(_syntax(error, name, line, chunk))
            broken = True
            continue
        tables = raw.get("rule", [])
        strays = [key for key in raw if key != "rule" or not isinstance(tables, list)]
        for key in strays:
            at = line + _line_of(chunk, key)
            notices.append(f"{name}, line {at}: {key!r} is no part of a file of rules; write [[rule]].")
            broken = True
        for table in tables if isinstance(tables, list) else []:
            rule, problems = _rule(table, layer, highest)
            ident = _name(table)
            if rule is not None and any(other.id == rule.id for other in rules):
                problems = [(("id",), "another rule of this file has it")]
            for where, said in problems:
                at = line + _line_of(chunk, where[-1])
                of = f", rule {ident}" if ident else ""
                notices.append(f"{name}, line {at}{of}: {'.'.join(where)}: {said}.")
            if problems:
                broken = broken or not (isinstance(table, dict) and table.get("decision") == "allow")
            if rule is not None and (not problems or rule.decision != "allow"):
                rules.append(rule if not problems else _renamed(rule, rules))
    if notices:
        rules = [rule for rule in rules if rule.decision != "allow"]
        # A project's rules may not allow anyway.
        allowing = ["its rules that allow do not count"] if layer != "project" else []
        if follows := [*([STRICT] if broken else []), *allowing]:
            notices.append(f"{name}: until it is corrected, {', and '.join(follows)}.")
    return Contents(name, tuple(rules), tuple(notices), broken)


def as_toml(rule: Rule) -> str:
    """Return a rule as a file has it."""
    table = rule.model_dump(mode="json", exclude_none=True, exclude={"layer", "when"})
    lines = ["[[rule]]", *(f"{name} = {_value(value)}" for name, value in table.items())]
    for name, value in rule.when.model_dump(mode="json", exclude_none=True).items():
        if isinstance(value, dict):
            lines += [f"when.{name}.{_value(key)} = {_value(globs)}" for key, globs in value.items()]
        else:
            lines.append(f"when.{name} = {_value(value)}")
    return "\n".join(lines) + "\n"


def add_rule(file: Path, rule: Rule) -> bool:
    """Append a rule to a file, which stays as it is otherwise, and return whether it was not there yet.

    Raises:
        ConfigError: The file, or the rule, cannot be written, or the file has a mistake.
    """
    try:
        file = file.resolve()
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # One after another, so that no rule is lost.
            fcntl.flock(folder, fcntl.LOCK_EX)
            return _append(file, rule)
        finally:
            os.close(folder)
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(f"The rule cannot be written to {file}: {why}.", hint="Mend the file.") from error


def _append(file: Path, rule: Rule) -> bool:
    before = file.read_bytes() if file.exists() else b""
    contents = parse(before.decode(), str(file), rule.layer, 1000)
    if contents.notices:
        raise ConfigError(contents.notices[0], hint="Correct the file; `llmasos policy check` looks at it.")
    if any(other.id == rule.id for other in contents.rules):
        return False
    gap = b"" if not before else b"\n" if before.endswith(b"\n") else b"\n\n"
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
    made = Path(name)
    try:
        with open(descriptor, "wb") as new:
            new.write(before + gap + as_toml(rule).encode())
            new.flush()
            os.fsync(descriptor)
        if before:
            made.chmod(file.stat().st_mode & 0o777)
        made.replace(file)
    except BaseException:
        made.unlink(missing_ok=True)
        raise
    return True


def _value(value: Any) -> str:
    """Return a value as TOML, which for texts, numbers and lists is JSON but for one character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _rule(table: Any, layer: Layer, highest: int) -> tuple[Rule | None, list[_Problem]]:
    if not isinstance(table, dict):
        return None, [(("rule",), "it is no table")]
    if "layer" in table:
        return None, [(("layer",), "this is not known")]
    try:
        rule = Rule.model_validate({**table, "layer": layer})
    except ValidationError as error:
        return None, _problems(error, highest)[:3]
    except RecursionError:
        return None, [(("rule",), "it is nested too deeply")]
    if rule.priority > highest:
        return None, [(("priority",), f"{rule.priority} is more than {highest}, the highest of the {layer}")]
    if layer == "project":
        rule = rule.model_copy(update={"priority": _PROJECT_PRIORITY})
    return rule, []


def _problems(error: ValidationError, highest: int) -> list[_Problem]:
    """Return what is wrong, once for each key, however many kinds of values were tried for it."""
    found: dict[tuple[str, ...], str] = {}
    for item in error.errors(include_url=False, include_input=False):
        where = tuple(str(part) for part in item["loc"])
        where = where[: 3 if where[:2] == ("when", "arguments") else 2 if where[:1] == ("when",) else 1]
        if item["type"] == "value_error":
            said = str(item["msg"]).removeprefix("Value error, ")
            if not where:
                key, _, said = said.partition(": ")
                where = (key,)
        elif item["type"] == "extra_forbidden":
            said = "this is not known"
        elif item["type"] == "missing":
            said = "this is missing"
        else:
            said = f"it must be {_wanted(where, highest)}"
        found.setdefault(where, said)
    return list(found.items())


def _wanted(where: tuple[str, ...], highest: int) -> str:
    if where == ("priority",):
        return f"a whole number from 0 to {highest}"
    return _WANTED.get(".".join(where), f"true, false, {_TEXTS}")


def _chunks(text: str) -> Iterator[tuple[int, str]]:
    """Yield the file, or the pieces of a file that cannot be read as one, with the lines where they begin."""
    starts = [match.start() for match in _HEADER.finditer(text)]
    try:
        whole = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        whole = {}
    found = whole.get("rule")
    if whole and not (isinstance(found, list) and len(found) == len(starts)):
        yield 1, text
        return
    for start, end in zip([0, *starts], [*starts, len(text)], strict=True):
        if chunk := text[start:end]:
            yield text.count("\n", 0, start) + 1, chunk


def _syntax(error: Exception, name: str, line: int, chunk: str) -> str:
    found = re.search(r"\(at line (\d+), column \d+\)", str(error))
    at = line + (int(found[1]) - 1 if found else chunk.rstrip().count("\n"))
    said = re.sub(r" \(at .*\)$", "", str(error)) or "it cannot be read"
    if isinstance(error, RecursionError):
        said = "it is nested too deeply"
    return f"{name}, line {at}: {said[:1].lower()}{said[1:]}."


def _line_of(chunk: str, key: str) -> int:
    """Return the line of a key inside of a piece, from 0 on; that of the piece where it is not found."""
    key = rf"[\"']?{re.escape(key)}[\"']?"
    found = re.search(rf"^[ \t\[]*(?:[\w\"'-]+[ \t]*\.[ \t]*)*{key}[ \t]*[.=\]]", chunk, re.MULTILINE)
    return chunk.count("\n", 0, found.start()) if found else 0


def _name(table: Any) -> str:
    name = table.get("id") if isinstance(table, dict) else None
    return name if isinstance(name, str) and len(name) <= 80 else ""


def _renamed(rule: Rule, rules: list[Rule]) -> Rule:
    taken = {other.id for other in rules}
    number = next(number for number in range(2, len(taken) + 3) if f"{rule.id}.{number}" not in taken)
    return rule.model_copy(update={"id": f"{rule.id}.{number}"})

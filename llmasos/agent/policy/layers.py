"""Layers: the built-in rules, and those of the administrator, of the user and of the project."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from llmasos import paths
from llmasos.agent.policy.book import Policy
from llmasos.agent.policy.files import STRICT, Contents, parse
from llmasos.agent.policy.globs import matcher
from llmasos.agent.policy.rules import Layer, Rule, When
from llmasos.config import PolicySettings

ADMINISTRATOR = PolicySettings().administrator
PROJECT = ".llmasos/policy.toml"
_LARGEST = 256 * 1024
_HIGHEST: dict[Layer, int] = {"built-in": 99, "administrator": 1000, "user": 99, "project": 1000}


@dataclass(frozen=True)
class Source:
    """A file of rules, and whose it is."""

    layer: Layer
    path: Path
    present: bool


def user_file() -> Path:
    """Return the path of the user's rules."""
    return paths.config_dir() / "policy.toml"


@cache
def builtin() -> tuple[Rule, ...]:
    """Return the built-in rules."""
    text = resources.files("llmasos.agent.policy").joinpath("builtin.toml").read_text(encoding="utf-8")
    contents = parse(text, "builtin.toml", "built-in", _HIGHEST["built-in"])
    if contents.notices:
        raise ValueError(contents.notices[0])
    return contents.rules


def takes_effect_later(paths: Iterable[str]) -> tuple[str, ...]:
    """Return those of some paths that the person's own programs obey, by the built-in rules."""
    rule = next(rule for rule in builtin() if rule.id == "takes-effect-later")
    globs = rule.when.writes
    matches = matcher(globs if isinstance(globs, tuple) else (), paths=True, strict=False)
    return tuple(filter(matches, paths))


def load_policy(
    folder: Path | None = None,
    *,
    administrator: Path | None = None,
    user: Path | None = None,
) -> Policy:
    """Return the rules in force; it never fails, but is stricter where a file cannot be read.

    Args:
        folder: The person's folder, whose own file may only tighten; None for none.
        administrator: The administrator's file, where it is another one.
        user: The user's file, where it is another one.
    """
    rules = {rule.id: rule for rule in builtin()}
    notices: list[str] = []
    for layer, contents in _layers(folder, administrator or ADMINISTRATOR, user or user_file()):
        notices += contents.notices
        for rule in contents.rules:
            if notice := _refused(rule, rules.get(rule.id), contents.name):
                notices.append(notice)
                continue
            rules[rule.id] = rule
        if contents.broken:
            strict = _strict(layer, contents.name)
            rules[strict.id] = strict
    return Policy.of(rules.values(), notices)


def sources(
    folder: Path | None = None, *, administrator: Path | None = None, user: Path | None = None
) -> tuple[Source, ...]:
    """Return the files that rules are read from, for those who show them."""
    found: list[tuple[Layer, Path]] = [
        ("administrator", administrator or ADMINISTRATOR),
        ("user", user or user_file()),
    ]
    if folder is not None:
        found.append(("project", folder / PROJECT))
    return tuple(Source(layer, path, os.path.lexists(path)) for layer, path in found)


def _layers(folder: Path | None, administrator: Path, user: Path) -> Iterable[tuple[Layer, Contents]]:
    yield "administrator", _read(administrator, "administrator")
    yield "user", _read(user, "user")
    if folder is not None:
        yield "project", _read(folder / PROJECT, "project", inside=folder)


def _read(path: Path, layer: Layer, inside: Path | None = None) -> Contents:
    name = str(path)
    try:
        if inside is not None and not path.resolve().is_relative_to(inside.resolve()):
            return _unread(name, "it leads out of the folder")
        # Not waiting for somebody to write into what may be a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return _unread(name, "it is no file")
            data = file.read(_LARGEST + 1)
    except FileNotFoundError:
        if path.is_symlink():
            return _unread(name, "it leads nowhere")
        return Contents(name)
    except NotADirectoryError:
        return _unread(name, f"{path.parent} is no folder")
    except (OSError, RuntimeError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        return _unread(name, f"it cannot be read: {why}")
    if len(data) > _LARGEST:
        return _unread(name, f"it is larger than {_LARGEST // 1024} KiB")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        return _unread(f"{name}, line {line}", "it is not UTF-8")
    return parse(text, name, layer, _HIGHEST[layer])


def _unread(name: str, why: str) -> Contents:
    notice = f"{name}: {why}. Until that is corrected, {STRICT}."
    return Contents(name, broken=True, notices=(notice,))


def _refused(rule: Rule, before: Rule | None, name: str) -> str:
    """Return why a rule of a layer does not count, or an empty text."""
    if rule.layer == "project" and rule.decision == "allow":
        return f"{name}, rule {rule.id}: a project's file may only tighten, so it may not allow."
    if before is None:
        return ""
    if rule.layer == "project":
        return (
            f"{name}, rule {rule.id}: a project's file may only tighten, so it cannot replace "
            f"the {before.layer} rule of this name. Give it another one."
        )
    if before.layer == "administrator":
        return f"{name}, rule {rule.id}: the administrator has a rule of this name, which stays."
    return ""


def _strict(layer: Layer, name: str) -> Rule:
    return Rule(
        id=f"broken-{layer}",
        decision="ask",
        reason=f"{name} has a mistake, so {STRICT}.",
        priority=1000,
        when=When(effects=("!reads",)),
        layer=layer,
    )

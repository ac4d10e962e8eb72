"""The secrets of this machine: in settings, variables and files."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, SecretStr

from llmasos.secrets.randomness import looks_random, plain
from llmasos.secrets.shapes import NAMES, find

_NAME = re.compile(
    rf"(?:^|[\W_]|(?<=[a-z])(?=[A-Z])){NAMES}(?:[\W_]?\d{{0,3}})$|^(?:dsn|auth|key|pass|pw)$", re.IGNORECASE
)
_CAMEL = re.compile(rf"{NAMES}$", re.IGNORECASE)
_LINE = re.compile(
    r"""^\s*(?:export\s+|set\s+|-\s+)?["']?([\w.$/:-]{1,100}?)["']?\s*(?:=>|:=|=|:)\s*(.+?)\s*,?\s*$"""
)
_EXAMPLES = (".example", ".sample", ".template", ".dist")
_LARGEST_FILE = 256 * 1024
_MOST_BYTES = 4 * 1024 * 1024
_MOST_FILES = 200
_LONGEST_LINE = 4096
_SHORTEST_KEY_LINE = 40


def secret_name(name: str) -> bool:
    """Tell whether a variable, field or option is called as secrets are."""
    return bool(_NAME.search(name) or _CAMEL.search(name))


def secrets_of_settings(settings: BaseModel) -> Iterator[str]:
    """Yield every secret of a configuration, wherever in it."""
    yield from _walked({name: getattr(settings, name) for name in type(settings).model_fields})


def _walked(value: Any) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        yield from secrets_of_settings(value)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _walked(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _walked(item)
    elif isinstance(value, str) and "://" in value:
        yield from _of_link(value)


def secrets_of_environment(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield the values of variables that are called like secrets or look like some."""
    for name, value in environment.items():
        yield from _of_value(name, value)


def secrets_of_files(paths: Iterable[Path]) -> Iterator[str]:
    """Yield the secrets in files that are hidden for holding some; a folder stands for its files.

    Files that cannot be read, that are no text or very large are left out, and samples too.
    """
    left, files = _MOST_BYTES, 0
    for path in _files(paths):
        if path.name.lower().endswith(_EXAMPLES):
            continue
        text = _read(path)
        left, files = left - len(text), files + 1
        if left < 0 or files > _MOST_FILES:
            return
        yield from secrets_of_text(text)


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            for folder, _, names in os.walk(path):
                yield from (Path(folder, name) for name in sorted(names))
        else:
            yield path


def _read(path: Path) -> str:
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST_FILE:
            return ""
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError):
        return ""


def secrets_of_text(text: str) -> Iterator[str]:
    """Yield what is secret in the text of a file that holds secrets."""
    found = [text[one.start : one.end] for one in find(text)]
    yield from found
    for secret in found:
        # A key may be printed in part.
        yield from (
            line for line in secret.splitlines() if len(line) >= _SHORTEST_KEY_LINE and " " not in line
        )
    try:
        yield from _of_json(json.loads(text))
        return
    except (ValueError, RecursionError):
        pass
    if len(text.split()) == 1 and not plain(text.strip()):
        yield text.strip()
    for line in text.splitlines():
        line = line[:_LONGEST_LINE]
        if match := _LINE.match(line):
            yield from _of_value(match[1], _unquoted(match[2]))
        for word in line.split():
            # `.pgpass` and `.htpasswd` write what belongs together in one word.
            parts = word.split(":") if "://" not in word else []
            yield from (part for part in (word, *parts[1:]) if looks_random(part))


def _of_json(value: Any, name: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _of_json(item, str(key))
    elif isinstance(value, list):
        for item in value:
            yield from _of_json(item, name)
    elif isinstance(value, str):
        yield from _of_value(name, value)


def _of_value(name: str, value: str) -> Iterator[str]:
    yield from (value[one.start : one.end] for one in find(f"{value}\n"))
    if "://" in value:
        yield from _of_link(value)
    elif (secret_name(name) and not plain(value)) or looks_random(value):
        yield value


def _of_link(link: str) -> Iterator[str]:
    try:
        password = urlsplit(link).password or ""
    except ValueError:
        return
    if not plain(password):
        yield from {password, unquote(password)}


def _unquoted(value: str) -> str:
    value = value.split(" #")[0].strip()
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'`" else value

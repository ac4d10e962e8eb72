"""The secrets of this machine: in settings, variables and files."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import BaseModel, SecretStr

from llmasos.secrets.randomness import plain, token_like
from llmasos.secrets.shapes import NAMES, find

_NAME = re.compile(rf"{NAMES}[\W_]?\d{{0,3}}$|(?:^|[\W_])(?:dsn|auth|key|pass|pw)$", re.IGNORECASE)
_LINE = re.compile(
    r"""^\s*(?:export\s+|set\s+|-\s+)?["']?([\w.$/:-]{1,100}?)["']?\s*(?:=>|:=|=|:)\s*(.+?)\s*,?\s*$"""
)
_EXAMPLES = (".example", ".sample", ".template", ".dist")
_LARGEST_FILE = 256 * 1024
_MOST_BYTES = 4 * 1024 * 1024
_MOST_FILES = 200
_LONGEST_LINE = 4096
_SHORTEST_KEY_LINE = 40
# `user:hash`, and `host:port:database:user:password`.
_COLUMNS = (2, 5)


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
    for one in find(text):
        secret = text[one.start : one.end]
        yield secret
        # A key may be printed in part.
        lines = secret.splitlines()
        yield from (line for line in lines if len(line) >= _SHORTEST_KEY_LINE and " " not in line)
    try:
        yield from _of_json(json.loads(text))
        return
    except (ValueError, RecursionError):
        pass
    if len(text.split()) == 1 and not plain(text.strip()):
        yield text.strip().removeprefix("0x")
    for line in text.splitlines():
        yield from _of_line(line[:_LONGEST_LINE].strip())


def _of_line(line: str) -> Iterator[str]:
    if match := _LINE.match(line):
        yield from _of_value(match[1], _unquoted(match[2]))
    # `.pgpass` and `.htpasswd` write what belongs together in one word.
    parts = line.split(":")
    if len(parts) in _COLUMNS and "://" not in line and not plain(parts[-1]):
        yield parts[-1]
    yield from (word for word in line.split() if token_like(word))


def _of_json(value: Any, name: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _of_json(item, str(key))
    elif isinstance(value, list):
        for item in value:
            yield from _of_json(item, name)
    elif isinstance(value, str):
        yield from _of_value(name, value)
        if token_like(value):
            yield value


def _of_value(name: str, value: str) -> Iterator[str]:
    yield from (value[one.start : one.end] for one in find(value))
    if "://" in value:
        yield from _of_link(value)
    elif _NAME.search(name) is not None and not plain(value):
        yield value
        yield from _of_basic(value)


def _of_basic(value: str) -> Iterator[str]:
    """Yield the password in what HTTP's basic authentication sends, as Docker and npm keep it."""
    try:
        _, colon, password = base64.b64decode(value, validate=True).decode().partition(":")
    except ValueError:
        return
    if colon and not plain(password):
        yield password


def _of_link(link: str) -> Iterator[str]:
    try:
        parts = urlsplit(link)
        password = parts.password or ""
    except ValueError:
        return
    if not plain(password):
        yield from {password, unquote(password)}
    # Providers of chains and webhooks put their keys into paths.
    asked = [value for _, value in parse_qsl(parts.query)]
    yield from (part for part in (*parts.path.split("/"), *asked) if token_like(part))


def _unquoted(value: str) -> str:
    value = value.split(" #")[0].strip()
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'`" else value

"""The page of settings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import get_args

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from llmasos.config import Settings
from scripts.reference.text import code, docstring, page, table

PREFIX = "LLMASOS_"
INTRO = """Settings come from variables of the environment, or from `config.toml` in the configuration
folder, with the same names in lower case and without `LLMASOS_`. A part before `__` is a table there:
`LLMASOS_LIMITS__STEPS=20` is `steps = 20` below `[limits]`. A list or a table is written as JSON in a
variable. A variable goes before the file."""


def pages() -> dict[str, str]:
    """Return the page of settings."""
    head = ("variable", "default", "meaning")
    plain, groups = [], []
    for name, info in Settings.model_fields.items():
        if group := _group(info):
            heading = f"## {name.replace('_', ' ').capitalize()}\n\n{docstring(group.__doc__).first}"
            groups += [heading, table(head, _rows(group.model_fields, f"{PREFIX}{name.upper()}__"))]
        else:
            plain += list(_rows({name: info}, PREFIX))
    return {"settings.md": page("Settings", INTRO, "## General", table(head, plain), *groups)}


def _rows(fields: dict[str, FieldInfo], prefix: str) -> Iterator[tuple[str, str, str]]:
    for name, info in fields.items():
        if group := _group(info):
            yield from _rows(group.model_fields, f"{prefix}{name.upper()}__")
            continue
        secret = SecretStr in (info.annotation, *get_args(info.annotation))
        shown = "a folder of the user" if info.default_factory else ""
        if info.default not in ("", None) and not secret and not shown:
            shown = code(_shown(info.default))
        yield code(f"{prefix}{name.upper()}"), shown, info.description or ""


def _shown(value: object) -> str:
    return json.dumps(value) if isinstance(value, (tuple, list, dict, bool)) else str(value)


def _group(info: FieldInfo) -> type[BaseModel] | None:
    kind = info.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None

"""Fingerprints of settings: two processes find out what they were given otherwise, and tell no secret."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, SecretStr


def fingerprints(settings: BaseModel, key: str) -> dict[str, str]:
    """Return a keyed digest of each setting's value, by the setting's name.

    Args:
        settings: The settings.
        key: What they are keyed with, so that digests of other times say nothing.
    """
    return {name: _digest(value, key) for name, value in _leaves(settings)}


def differing(settings: BaseModel, other: Mapping[str, str], key: str) -> list[str]:
    """Return the names of the settings that were given, rather than left as they are, and differ elsewhere.

    Args:
        settings: The settings here.
        other: The fingerprints elsewhere.
        key: What those are keyed with.
    """
    here = fingerprints(settings, key)
    return [name for name in _given(settings) if name in other and other[name] != here[name]]


def _leaves(settings: BaseModel, above: str = "") -> Iterator[tuple[str, Any]]:
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            yield from _leaves(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _given(settings: BaseModel, above: str = "") -> Iterator[str]:
    for name in sorted(settings.model_fields_set):
        value = getattr(settings, name, None)
        if isinstance(value, BaseModel):
            yield from _given(value, f"{above}{name}.")
        else:
            yield f"{above}{name}"


def _digest(value: Any, key: str) -> str:
    said = json.dumps(_plain(value), sort_keys=True)
    return hmac.new(key.encode(), said.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def _plain(value: Any) -> Any:
    match value:
        case SecretStr():
            return value.get_secret_value()
        case BaseModel():
            return {name: _plain(getattr(value, name)) for name in type(value).model_fields}
        case dict():
            return {str(name): _plain(one) for name, one in value.items()}
        case list() | tuple():
            return [_plain(one) for one in value]
        case None | bool() | int() | float():
            return value
    return str(value)

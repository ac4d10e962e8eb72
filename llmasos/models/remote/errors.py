"""What endpoints answer instead of a reply, as errors a person can act on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from llmasos.errors import ModelError
from llmasos.models.engines.port import ContextExceeded, InvalidRequest
from llmasos.models.scheduler.types import Refused
from llmasos.models.untrusted import read_json

_SHOWN = 300
_LONGEST_RETRY = 86_400.0
# Shorter ones may be part of other words.
_SHORTEST_KEY = 8
_TOO_LONG = ("context_length_exceeded", "maximum context length", "exceed_context_size", "context window")


class Unreachable(ModelError):
    """The endpoint cannot be reached, or breaks off before it answers."""


class Late(Unreachable):
    """The endpoint does not answer in time."""


class Failing(ModelError):
    """The endpoint fails by itself; another one, or a later time, may do better."""


class Denied(ModelError):
    """The endpoint refuses the key, has no such model, or is elsewhere."""


def shown(url: str) -> str:
    """Return the URL without what may be secret in it."""
    place = urlsplit(url)
    return place._replace(netloc=place.netloc.rpartition("@")[2], query="", fragment="").geturl()


def unreachable(url: str) -> Unreachable:
    """Return the error for an endpoint that nobody answers at."""
    return Unreachable(
        f"The model endpoint {shown(url)} cannot be reached.",
        hint="Check that it runs and that LLMASOS_MODEL_URL is right.",
    )


def late(url: str, what: str, seconds: float) -> Late:
    """Return the error for an endpoint that takes too long."""
    return Late(
        f"The model endpoint {shown(url)} sent no {what} within {seconds:g} seconds.", hint="Try again later."
    )


def cut(url: str, name: str) -> Failing:
    """Return the error for a reply without an end."""
    return Failing(f"The endpoint {shown(url)} cut the reply of {name} short.", hint="Try again.")


def no_reply(url: str, why: str) -> Failing:
    """Return the error for an answer that is no reply."""
    return Failing(
        f"The endpoint {shown(url)} sent something that is no reply: {why}.",
        hint="Check that it speaks OpenAI's API, and try again.",
    )


def refused(
    url: str, status: int, name: str, *, body: bytes = b"", retry_after: float | None = None
) -> ModelError:
    """Return the error for an answer with an error's status.

    Args:
        url: The endpoint's base URL.
        status: The HTTP status.
        name: The model that was asked for, or empty.
        body: What was sent along.
        retry_after: Seconds after which to try again, if the endpoint says so.
    """
    if status in (401, 403):
        return Denied(f"The model endpoint {shown(url)} refuses the key.", hint="Set LLMASOS_MODEL_KEY.")
    if status == 404:
        what = f"has no model {name!r}" if name else "does not exist"
        return Denied(
            f"The model endpoint {shown(url)} {what}.",
            hint="Check LLMASOS_MODEL_URL (it usually ends in /v1) and LLMASOS_MODEL.",
        )
    if 300 <= status < 400:
        return Denied(
            f"The model endpoint {shown(url)} sends elsewhere, where the key is not taken.",
            hint="Set LLMASOS_MODEL_URL to where it is now.",
        )
    message = message_of(body)
    said = f"The model endpoint {shown(url)} answered with HTTP {status}{f': {message}' if message else ''}"
    said = _sentence(said)
    if status in (400, 413, 422):
        if any(sign in body.decode("utf-8", "replace") for sign in _TOO_LONG):
            return ContextExceeded(said, hint="Send less, or ask for fewer tokens.")
        return InvalidRequest(said, hint="Check what was asked for.")
    if status in (429, 503):
        return Refused(said, status=status, retry_after=retry_after, hint="Try again later.")
    return Failing(said, hint="Try again later.")


def failed(url: str, name: str, error: Any) -> ModelError:
    """Return the error for an error object inside a stream."""
    details = error if isinstance(error, Mapping) else {"message": str(error)}
    code = details.get("code") or details.get("status")
    status = code if isinstance(code, int) and 400 <= code < 600 else 0
    body = json.dumps({"error": details}).encode()
    if not status and any(sign in body.decode() for sign in _TOO_LONG):
        status = 400
    if status:
        return refused(url, status, name, body=body)
    return Failing(
        _sentence(f"The model endpoint {shown(url)} failed: {message_of(body) or 'it does not say why'}"),
        hint="Try again later.",
    )


def without(error: ModelError, key: str) -> ModelError:
    """Hide the key in an error, and return the error."""
    if len(key) >= _SHORTEST_KEY and key in error.message:
        error.message = error.message.replace(key, "[key]")
        error.args = (error.message,)
    return error


def message_of(body: bytes) -> str:
    """Return the message in an error's body, or nothing when it has none."""
    try:
        found = read_json(body)
    except ValueError:
        return ""
    if isinstance(found, dict):
        error = found.get("error", found)
        found = error.get("message", error.get("detail", "")) if isinstance(error, dict) else error
    text = found if isinstance(found, str) else ""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:_SHOWN]


def retry_after(value: str | None) -> float | None:
    """Return the seconds that a Retry-After header tells, as a number or a date."""
    if not value:
        return None
    try:
        seconds = float(value) if value.strip().isdigit() else _until(value)
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(0.0, seconds), _LONGEST_RETRY)


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."


def _until(value: str) -> float:
    at = parsedate_to_datetime(value)
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return (at - datetime.now(UTC)).total_seconds()

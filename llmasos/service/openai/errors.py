"""Errors in the shape of OpenAI's API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from llmasos.errors import ConfigError, LedgerError, LLMasOSError, ModelError
from llmasos.models.engines.port import ContextExceeded, InvalidRequest
from llmasos.models.scheduler.types import Refused
from llmasos.service.refusals import LimitReached, NotAllowed, Refusal, after
from llmasos.service.replies import explained

_KINDS = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_REFUSED = {429: "rate_limit_exceeded", 503: "overloaded", 504: "deadline_exceeded"}
_MOST_SHOWN = 300


class ApiError(LLMasOSError):
    """A call that is answered with an error.

    Args:
        status: The HTTP status.
        message: What was wrong.
        param: The parameter that was, such as `messages[0].content`.
        code: What programs tell errors apart by.
        kind: The error's type; follows from the status as a rule.
        retry_after: Seconds after which trying again may work.
        hint: The next step; it is part of the message that is sent.
        extra: Headers that go with it.
        refusal: What a call is recorded as that the caller's key does not allow; empty for other errors.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        kind: str = "",
        retry_after: float | None = None,
        hint: str = "",
        extra: Mapping[str, str] | None = None,
        refusal: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.param = param
        self.reason = code
        self.kind = kind or _KINDS.get(status, "invalid_request_error" if status < 500 else "server_error")
        self.retry_after = retry_after
        self.extra = extra or {}
        self.refusal = refusal

    def body(self) -> dict[str, Any]:
        """Return the object that is sent."""
        text = f"{self.message} {self.hint}".strip()
        return {"error": {"message": text, "type": self.kind, "param": self.param, "code": self.reason}}

    def headers(self) -> dict[str, str]:
        """Return the headers that go with it; without them, OpenAI's clients choose when to try again."""
        return {**after(self.retry_after), **self.extra}


def invalid(message: str, param: str | None = None, *, code: str | None = None, hint: str = "") -> ApiError:
    """Return the error of a request that cannot be carried out as it is."""
    return ApiError(400, message, param=param, code=code, hint=hint)


def api_error(error: BaseException) -> ApiError:
    """Return an error as this API shows it; one that nobody foresaw goes to the log."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    match error:
        case ApiError():
            return error
        case Refusal():
            return ApiError(
                error.status,
                error.message,
                code=error.reason or error.code,
                kind=error.kind,
                retry_after=error.retry_after,
                hint=error.hint,
                extra=error.headers(),
                refusal=error.code if isinstance(error, LimitReached | NotAllowed) else "",
            )
        case Refused():
            return ApiError(
                error.status,
                error.message,
                code=_REFUSED.get(error.status),
                retry_after=error.retry_after,
                hint=error.hint,
            )
        case ContextExceeded():
            return invalid(error.message, "messages", code="context_length_exceeded", hint=error.hint)
        case InvalidRequest():
            return invalid(error.message, hint=error.hint)
        case TimeoutError():
            return ApiError(504, "The reply did not end before its deadline.", code="deadline_exceeded")
        case ModelError():
            return ApiError(503, error.message, code="model_unavailable", hint=error.hint)
        case LedgerError() | ConfigError():
            return ApiError(503, error.message, code=f"{error.code}_unavailable", hint=error.hint)
    assert isinstance(error, Exception)
    said = explained(error)
    return ApiError(500, said.message, code=said.code, hint=said.hint)


def malformed(error: ValidationError) -> ApiError:
    """Return the error of a body that is not as it must be; it names the first parameter that is wrong."""
    errors = error.errors(include_url=False, include_input=False)
    # What lacks something, or has too much, may be another type of thing than it must be.
    first = min(errors, key=lambda one: one["type"] != "literal_error")
    param = _path(first["loc"])
    if first["type"] == "extra_forbidden":
        return invalid(f"The parameter {param!r} is not supported.", param, code="unsupported_parameter")
    if first["type"] == "missing":
        return invalid(f"The parameter {param!r} is missing.", param, code="missing_required_parameter")
    said = first["msg"].removeprefix("Value error, ")[:_MOST_SHOWN].rstrip(".")
    return invalid(f"Invalid value for {param!r}: {said}.", param or None, code="invalid_value")


def _path(places: Sequence[int | str]) -> str:
    path = ""
    for place in places:
        path += f"[{place}]" if isinstance(place, int) else f".{place}" if path else place
    return path[:_MOST_SHOWN]

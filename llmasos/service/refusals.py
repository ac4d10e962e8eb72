"""Refusals: errors with their HTTP status, in OpenAI's shape where OpenAI's clients call, else in ours."""

from __future__ import annotations

import math

from pydantic import BaseModel
from starlette.responses import JSONResponse, PlainTextResponse, Response

from llmasos.api import ErrorBody
from llmasos.errors import LLMasOSError

CONSOLE = "/console"
"""Where the console is."""

_OPENAI = ("/v1/chat/", "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/models")
_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "server_error",
    503: "server_error",
}
_STATUS = {
    "session": 409,
    "idle": 409,
    "running": 409,
    "workspace": 409,
    "conflict": 409,
    "config": 400,
    "model": 422,
    "tool": 422,
    "federated": 422,
    "knowledge": 422,
    "value": 422,
    "unknown": 404,
    "ledger": 503,
    "sandbox": 503,
}


class OpenAIErrorBody(BaseModel):
    """What is wrong, in the words of OpenAI's API."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIError(BaseModel):
    """An error in the shape of OpenAI's API."""

    error: OpenAIErrorBody


def is_console(path: str) -> bool:
    """Return whether a path is one of the console's."""
    return path == CONSOLE or path.startswith(f"{CONSOLE}/")


def error_of(path: str) -> type[BaseModel]:
    """Return the shape of errors that the path's clients expect."""
    return OpenAIError if path.startswith(_OPENAI) else ErrorBody


class Refusal(LLMasOSError):
    """A request that is refused.

    Args:
        message: Why.
        hint: The next step.
        retry_after: Seconds after which it may be accepted; None where waiting does not help.
    """

    status = 400
    kind = ""
    """OpenAI's `type`, where it is not the usual one of the status."""
    reason = ""
    """OpenAI's `code`, where it is not ours."""

    def __init__(self, message: str, *, hint: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after

    def headers(self) -> dict[str, str]:
        """Return the headers that go with it."""
        return after(self.retry_after)


class WrongKey(Refusal):
    """No key, or one that is not valid."""

    code = "key"
    status = 401
    reason = "invalid_api_key"

    def headers(self) -> dict[str, str]:
        """Return the headers that go with it."""
        return {"www-authenticate": "Bearer", **super().headers()}


class NotAllowed(Refusal):
    """A key that does not open what was asked for."""

    code = "access"
    status = 403
    reason = "permission_denied"


class LimitReached(Refusal):
    """A key that has used what it may use in a minute."""

    code = "limit"
    status = 429
    reason = "rate_limit_exceeded"


class QuotaReached(LimitReached):
    """A key that has used what it may use in a day or a month."""

    code = "quota"
    kind = "insufficient_quota"
    reason = "insufficient_quota"

    def headers(self) -> dict[str, str]:
        """Return the headers that go with it; OpenAI's clients would try again at once."""
        return {"x-should-retry": "false", **super().headers()}


class TooLarge(Refusal):
    """A body that is larger than bodies may be."""

    code = "size"
    status = 413
    reason = "request_too_large"

    def __init__(self) -> None:
        super().__init__("The request is too large.", hint="Send less, or raise LLMASOS_SERVICE__BODY_MB.")


class Draining(Refusal):
    """A kernel that is about to stop, and begins nothing new."""

    code = "draining"
    status = 503
    reason = "service_unavailable"


def after(seconds: float | None) -> dict[str, str]:
    """Return the header that says when to try again."""
    return {} if seconds is None else {"retry-after": str(max(1, math.ceil(seconds)))}


def status_of(error: LLMasOSError) -> int:
    """Return the HTTP status of an error."""
    status = getattr(error, "status", None)
    return status if isinstance(status, int) else _STATUS.get(error.code, 500)


def refused(path: str, error: LLMasOSError) -> Response:
    """Return the reply that says an error, in the shape that the path's clients expect."""
    status = status_of(error)
    retry = getattr(error, "retry_after", None)
    headers = error.headers() if isinstance(error, Refusal) else after(retry)
    body = ErrorBody(code=error.code, message=error.message, hint=error.hint)
    return said(path, status, body, headers, getattr(error, "kind", ""), getattr(error, "reason", ""))


def said(
    path: str,
    status: int,
    error: ErrorBody,
    headers: dict[str, str] | None = None,
    kind: str = "",
    reason: str = "",
) -> Response:
    """Return the reply to a request that is refused.

    Args:
        path: The request's path.
        status: The HTTP status.
        error: What is wrong.
        headers: Headers to send with it.
        kind: OpenAI's `type`; the usual one of the status when it is empty.
        reason: OpenAI's `code`; ours when it is empty.
    """
    if is_console(path):
        # A browser shows it to a person.
        return PlainTextResponse(f"{error.message}\n{error.hint}\n", status_code=status, headers=headers)
    if error_of(path) is ErrorBody:
        return JSONResponse(error.model_dump(), status_code=status, headers=headers)
    told = OpenAIErrorBody(
        message=f"{error.message} {error.hint}".strip(),
        type=kind or _TYPES.get(status, "invalid_request_error"),
        param=None,
        code=reason or error.code,
    )
    return JSONResponse(OpenAIError(error=told).model_dump(), status_code=status, headers=headers)

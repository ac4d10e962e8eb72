"""What the client raises."""

from __future__ import annotations

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError

from llmasos.api import ErrorBody
from llmasos.client._connection import Query
from llmasos.errors import InvalidValueError, KernelError, LLMasOSError


class RequestRefused(LLMasOSError):
    """The kernel refused a request; `code` says which part did."""

    def __init__(self, body: ErrorBody) -> None:
        super().__init__(body.message, hint=body.hint)
        self.code = body.code


def gone() -> KernelError:
    """Return the error for a kernel that stopped answering."""
    return KernelError(
        "The kernel has gone away.",
        hint="Run the command again: the kernel starts anew, and the session resumes where it was.",
    )


def no_text() -> InvalidValueError:
    """Return the error for bytes that are no UTF-8, which stand in a text as lone surrogates."""
    return InvalidValueError(
        "The request holds bytes that are not UTF-8.",
        hint="Write it in UTF-8, and use a terminal whose locale is a UTF-8 one.",
    )


def request_content(body: BaseModel | None, query: Query | None) -> str | None:
    """Return a request's body as JSON.

    Raises:
        InvalidValueError: Something of body or query is no UTF-8.
    """
    try:
        for text in (query or {}).values():
            str(text).encode()
        return body.model_dump_json() if body is not None else None
    except (UnicodeEncodeError, PydanticSerializationError) as error:
        raise no_text() from error


def refusal(content: bytes, status: int) -> LLMasOSError:
    """Return the error that a refused request stands for."""
    try:
        return RequestRefused(ErrorBody.model_validate_json(content))
    except ValueError:
        return KernelError(f"The kernel answered with the status {status} and no explanation.")

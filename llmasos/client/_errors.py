"""What the client raises."""

from __future__ import annotations

from llmasos.api import ErrorBody
from llmasos.errors import KernelError, LLMasOSError


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


def refusal(content: bytes, status: int) -> LLMasOSError:
    """Return the error that a refused request stands for."""
    try:
        return RequestRefused(ErrorBody.model_validate_json(content))
    except ValueError:
        return KernelError(f"The kernel answered with the status {status} and no explanation.")

"""Error types: what was wrong, and the next step."""

from __future__ import annotations


def command(name: str, arguments: str = "") -> str:
    """Return how a command about a session's changes is given: in the shell, and on the command line."""
    rest = f" {arguments}" if arguments else ""
    return f"/{name}{rest}, or `llmasos {name} SESSION{rest}`"


class LLMasOSError(Exception):
    """An error that a person can act on.

    Args:
        message: What was wrong, naming the thing concerned.
        hint: The next step, as a sentence or a command.
    """

    code = "error"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class ConfigError(LLMasOSError):
    """A setting or a path that cannot be used."""

    code = "config"


class KernelError(LLMasOSError):
    """The kernel cannot start, or cannot be reached."""

    code = "kernel"


class ModelError(LLMasOSError):
    """A model that cannot be found, loaded or asked."""

    code = "model"


class EmptyAnswer(ModelError):
    """A model that was asked for a text and wrote none."""


class KnowledgeError(LLMasOSError):
    """A collection of documents that is not there, or a document that cannot be read."""

    code = "knowledge"


class SandboxError(LLMasOSError):
    """A sandbox that cannot start, or that died."""

    code = "sandbox"


class WorkspaceError(LLMasOSError):
    """A folder that cannot be opened, or a change that cannot be committed or undone."""

    code = "workspace"


class ConflictError(WorkspaceError):
    """Files that were changed in the folder since the view saw them.

    Args:
        paths: The files, relative to the folder.
        message: What is wrong, where it is not plainly that.
        hint: The next step.
    """

    code = "conflict"

    def __init__(self, paths: tuple[str, ...], message: str = "", *, hint: str = "") -> None:
        names = ", ".join(ascii(path)[1:-1] if not path.isprintable() else path for path in paths[:10])
        more = f" and {len(paths) - 10} more" if len(paths) > 10 else ""
        were = "was" if len(paths) == 1 else "were"
        super().__init__(
            message or f"{names}{more} {were} changed in the folder since the agent saw it.",
            hint=hint
            or f"Merge the texts ({command('commit', '--merge')}), drop the agent's version "
            f"({command('discard')}), or put yours aside.",
        )
        self.paths = paths


class LedgerError(LLMasOSError):
    """A record that cannot be written, submitted or verified."""

    code = "ledger"


class UnknownRecordError(LedgerError):
    """Nothing is recorded under the name or number that was given."""

    code = "unknown"


class ToolError(LLMasOSError):
    """A tool call that cannot be carried out; the model is told the message."""

    code = "tool"


class SessionError(LLMasOSError):
    """A session or turn that does not exist, or cannot take the request now."""

    code = "session"


class IdleSessionError(SessionError):
    """Something was said to a turn, and none is running."""

    code = "idle"


class RunningTurnError(SessionError):
    """A request came to a session in which a turn is running."""

    code = "running"


class InvalidValueError(LLMasOSError):
    """A value that cannot be what it was given for."""

    code = "value"


class UnknownFactError(LLMasOSError):
    """Nothing is remembered under the id that was given."""

    code = "unknown"

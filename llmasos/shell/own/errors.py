"""What is wrong with a command of one's own."""

from __future__ import annotations

from llmasos.errors import LLMasOSError


class CommandError(LLMasOSError):
    """A file that is no command, or a command that cannot be carried out as it was typed."""

    code = "command"


class NotAgreed(LLMasOSError):
    """A project's command that nobody has agreed to, or not as it is now."""

    code = "approval"

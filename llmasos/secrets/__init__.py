"""Secrets: told by their shapes or known beforehand, and taken out of what is kept, shown or read by a model."""

from llmasos.secrets.canary import Canaries
from llmasos.secrets.known import secrets_of_environment, secrets_of_files, secrets_of_settings
from llmasos.secrets.logs import RedactingFormatter
from llmasos.secrets.redact import Redactor
from llmasos.secrets.stream import Redaction

__all__ = [
    "Canaries",
    "RedactingFormatter",
    "Redaction",
    "Redactor",
    "secrets_of_environment",
    "secrets_of_files",
    "secrets_of_settings",
]

"""Secrets, told by their shapes or known beforehand, and taken out of what is kept, shown or read."""

from llmasos.secrets.canary import VARIABLE, Canaries
from llmasos.secrets.environment import bare_environment, forget_secrets
from llmasos.secrets.known import secrets_of_environment, secrets_of_files, secrets_of_settings
from llmasos.secrets.logs import RedactingFormatter
from llmasos.secrets.redact import Redactor
from llmasos.secrets.stream import Redaction

__all__ = [
    "VARIABLE",
    "Canaries",
    "RedactingFormatter",
    "Redaction",
    "Redactor",
    "bare_environment",
    "forget_secrets",
    "secrets_of_environment",
    "secrets_of_files",
    "secrets_of_settings",
]

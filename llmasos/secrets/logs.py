"""Logs without secrets."""

from __future__ import annotations

import logging

from llmasos.secrets.redact import Redactor


class RedactingFormatter(logging.Formatter):
    """Formats records as another formatter does, tracebacks included, without their secrets.

    Args:
        formatter: The other one.
        redactor: Takes the secrets out.
    """

    def __init__(self, formatter: logging.Formatter, redactor: Redactor) -> None:
        super().__init__()
        self._formatter = formatter
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a line, or as many as its traceback has."""
        return self._redactor.text(self._formatter.format(record))

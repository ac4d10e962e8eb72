"""The kernel's log holds a line for each record, whatever the record says."""

import logging
import sys

from llmasos.service.server import _Lines


def test_foreign_text_adds_no_line_and_does_not_act() -> None:
    record = logging.LogRecord("llmasos", logging.INFO, "", 1, "got %s", ("a\x1b[2J\nINFO b\u202e",), None)
    assert _Lines("%(levelname)s %(message)s").format(record) == "INFO got a\\x1b[2J\\nINFO b\\u202e"


def test_tracebacks_keep_their_lines() -> None:
    try:
        raise ValueError("a\x1b[2J")
    except ValueError:
        record = logging.LogRecord("llmasos", logging.ERROR, "", 1, "failed", (), sys.exc_info())
    lines = _Lines("%(message)s").format(record).splitlines()
    assert lines[:2] == ["failed", "Traceback (most recent call last):"]
    assert lines[-1] == "ValueError: a\\x1b[2J"

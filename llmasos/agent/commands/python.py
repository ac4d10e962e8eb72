"""Python: what a piece of code does, by its syntax tree."""

from __future__ import annotations

from collections.abc import Collection

from .program import Findings, Program


def analyse_python(code: str, functions: Collection[str] = ()) -> Program:
    """Return what a piece of Python does; never raises.

    Args:
        code: The code.
        functions: Names of functions whose calls are decided on by themselves.
    """
    found = Findings()
    found.undecided("Python is not analysed yet.")
    return found.program()

"""What commands and code do, told from their text alone."""

from collections.abc import Collection

from .bash import parse
from .paths import looks_alike, normalise
from .program import Command, Program
from .programs import knows
from .python import analyse_python

__all__ = ["Command", "Program", "analyse", "analyse_python", "knows", "looks_alike", "normalise", "parse"]


def analyse(language: str, text: str, functions: Collection[str] = ()) -> Program:
    """Return what a text does; one in a language that is not known may do anything.

    Args:
        language: `bash` or `python`.
        text: The commands or the code.
        functions: Names of functions whose calls are decided on by themselves.
    """
    if language == "bash":
        return parse(text)
    if language == "python":
        return analyse_python(text, functions)
    return Program(effects=frozenset({"unknown"}), dynamic=True, why=(f"{language} is not analysed.",))

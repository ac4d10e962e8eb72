"""Which language is spoken, and saying something in it."""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmasos.language.catalogue import Catalogue

SETTING = "LLMASOS_SHELL__LANGUAGE"
"""The variable that names the language: `en`, `zh`, or `auto` for that of the locale."""

ENGLISH = "en"
# Of each other language, a word that a terminal has to be able to show.
_OTHERS = {"zh": "语言"}
_LOCALE = ("LC_ALL", "LC_MESSAGES", "LANG")


def chosen_language() -> str:
    """Return the language that the environment asks for and the terminal can show: `en` or `zh`."""
    wanted = os.environ.get(SETTING, "").strip().lower()
    if wanted != ENGLISH and wanted not in _OTHERS:
        # As POSIX has it, the first that is set decides.
        locale = next(filter(None, map(os.environ.get, _LOCALE)), "")
        wanted = locale.replace("-", "_").partition("_")[0].partition(".")[0].lower()
    return wanted if wanted in _OTHERS and _shown(_OTHERS[wanted]) else ENGLISH


def use_language(language: str) -> None:
    """Choose a language for this process and what it starts, unless the environment names one itself.

    Args:
        language: `en`, `zh`, or `auto` for that of the locale.
    """
    if language != "auto":
        os.environ.setdefault(SETTING, language)


def translated(text: str) -> str:
    """Return a text of ours in the chosen language; what is nobody's stays as it is.

    Args:
        text: The whole of what a person reads, such as a line, a message or a question.
    """
    language = chosen_language()
    return text if language == ENGLISH else _catalogue(language).translated(text)


def translated_error(message: str, hint: str) -> str:
    """Return an error's message and, on the next line, its hint, both in the chosen language."""
    return "\n".join(translated(text) for text in (message, hint) if text)


def _shown(word: str) -> bool:
    try:
        word.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


@cache
def _catalogue(language: str) -> Catalogue:
    # Only where it is spoken: English starts at once.
    from llmasos.language.catalogue import Catalogue, read_catalogue

    return Catalogue(read_catalogue(Path(__file__).with_name(f"{language}.po")))

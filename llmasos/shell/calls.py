"""How a tool call is told in a line, and in which language what it gives is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmasos.display import display, display_name
from llmasos.events import ActionStarted

_LANGUAGES = {
    **dict.fromkeys(("py", "pyi"), "python"),
    **dict.fromkeys(("sh", "bash", "zsh"), "bash"),
    **dict.fromkeys(("yml", "yaml"), "yaml"),
    **dict.fromkeys(("htm", "html"), "html"),
    **dict.fromkeys(("cc", "cpp", "hpp"), "cpp"),
    **{name: name for name in ("js", "ts", "css", "json", "toml", "sql", "c", "go", "java", "md", "ini")},
    "rs": "rust",
    "rb": "ruby",
}


def call_arguments(event: ActionStarted, defaults: Mapping[str, Any]) -> str:
    """Return what a call says: nothing that is empty or as ever, and no text of several lines."""
    shown = [
        f"{display(name)}={_short(value)}"
        for name, value in event.arguments.items()
        if value not in (None, "", [], {})
        and not (name in defaults and value == defaults[name])
        and not (isinstance(value, str) and "\n" in value.strip("\n"))
    ]
    return f"({', '.join(shown)})" if shown else ""


def _short(value: object, longest: int = 120) -> str:
    # A path or an address may pretend to be another one.
    seen = display_name if isinstance(value, str) and " " not in value else display
    text = seen(repr(value) if not isinstance(value, str) else f'"{value}"')
    return text if len(text) <= longest else text[: longest - 1] + "…"


def language_of(argument: str, arguments: Mapping[str, Any]) -> str:
    """Return the language of a text that a call gives, as Pygments names it; empty for prose."""
    if argument == "code":
        return "python"
    path = arguments.get("path")
    ending = path.rpartition(".")[2].lower() if isinstance(path, str) and "." in path else ""
    return _LANGUAGES.get(ending, "")

"""Flips in words: what would have to be different for another decision."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from llmasos.decisions import Verdict

_MOST = 4
_LONGEST = 80
_AND = " and "
# `{}` stands for what would be different.
_VERDICTS: Mapping[Verdict, str] = {
    "allow": "allowed if {}",
    "ask": "asked about if {}",
    "deny": "denied if {}",
}
_EFFECTS = {
    "reads": "read",
    "writes": "write files",
    "deletes": "delete files",
    "network": "reach hosts",
    "executes": "run programs",
    "unknown": "what nobody knows",
}
_SOURCES = {
    "person": "you",
    "model": "the model",
    "system": "LLMasOS",
    "listing": "names of files",
    "file": "a file",
    "output": "the output of a program",
    "web": "a web page",
    "mcp": "a server of tools",
    "tool": "a tool",
    "attachment": "an attachment",
    "unknown": "somewhere unknown",
}
# Each fact where it is empty or does not hold, and where it is not; `{}` stands for its items.
_FACTS: Mapping[str, tuple[str, str]] = {
    "tool": ("it had no name", "it were a call of {}"),
    "plugin": ("the tool were one of ours", "the tool came from {}"),
    "capabilities": ("the tool declared nothing", "the tool declared only {}"),
    "effects": ("it did nothing", "it did nothing but {}"),
    "gains": ("the program would do no more than before", "the program would do more than before: {}"),
    "programs": ("it ran no program", "the program that it runs were {}"),
    "commands": ("it ran no command", "the command that it runs were {}"),
    "dynamic": ("all of it could be known beforehand", "a part of it could not be known beforehand"),
    "reads": ("it read no file", "it read {}"),
    "writes": ("it changed no file", "it changed {}"),
    "outside": ("it stayed in the folder", "it went out of the folder, to {}"),
    "disguised": ("no path looked like another one", "a path such as {} looked like another one"),
    "hosts": ("it reached no host", "it reached {}"),
    "open_hosts": ("you had opened no host", "you had opened {}"),
    "sinks": ("where it acts came from nobody else", "where it acts came from {}"),
    "copied": ("nothing of it were copied from others' text", "some of it were copied from {}"),
    "carries": ("it handed on nothing that you did not name", "it handed on text from {}"),
    "identifiers": ("it named nothing that only others wrote", "it named {} that only others wrote"),
    "untrusted": (
        "the model had read nothing that others may have written",
        "the model had read text from {}",
    ),
    "given": ("you had named none of its values", "you had named {} of its values"),
    "dictated": ("you had not written it yourself", "you had written it yourself, word for word"),
    "ungiven": (
        "you had named all that it reaches or changes",
        "it reached or changed {} that you did not name",
    ),
    "secrets": ("it held nothing like a secret", "it held something like a secret"),
    "tier": ("there were no sandbox", "the sandbox were {}"),
    "attended": ("nobody were there to be asked", "somebody were there to be asked"),
    "in_place": ("it changed a view of the folder only", "it changed the folder itself"),
    "folder": ("the folder were not known", "the folder were {}"),
    "access": ("nothing were possible", "{}"),
    "asking": ("it were not known when to ask", "{}"),
}
_ITEMS: Mapping[str, Mapping[str, str]] = {
    **dict.fromkeys(("effects", "gains"), _EFFECTS),
    **dict.fromkeys(("sinks", "copied", "carries", "untrusted"), _SOURCES),
    "identifiers": {
        "link": "a link",
        "address": "an address",
        "account": "an account",
        "host": "a host",
        "path": "a path",
        "command": "a command",
    },
    "given": {"1": "one"},
    "access": {
        "read-only": "the session could only look",
        "workspace": "the session could change the view, and reach no host that is closed",
        "open": "the session could ask for hosts that are closed",
    },
    "asking": {
        "always": "you were asked before every effect",
        "on-risk": "you were asked only where a rule says so",
        "never": "nobody were to be asked",
    },
    "tier": {"docker": "Docker", "bubblewrap": "bubblewrap", "landlock": "the weak one, Landlock"},
}


def otherwise(facts: Mapping[str, Any], verdict: Verdict, say: Callable[[str], str] = str) -> str:
    """Return what would be decided if facts were different, such as `allowed if it reached no host`.

    What it quotes is foreign text, which is still to be displayed.

    Args:
        facts: The facts that would be different, with the values they would have, as a `Flip` has them.
        verdict: What would be decided then.
        say: Says each part of it in the language of whoever reads it.
    """
    different = say(_AND).join(say(_said(name, value, say)) for name, value in facts.items())
    return say(_VERDICTS[verdict].replace("{}", different))


def _said(name: str, value: Any, say: Callable[[str], str]) -> str:
    known = _FACTS.get(name)
    if known is None:
        argument = name.removeprefix("arguments.")
        called = f"its argument {argument}" if argument != name else name
        return f"{called} were left out" if value in (None, []) else f"{called} were {_cut(_json(value))}"
    empty, filled = known
    if not value:
        return empty
    items = list(value) if isinstance(value, list | tuple | set | frozenset) else [value]
    more = f" and {len(items) - _MOST} more" if len(items) > _MOST else ""
    return filled.replace("{}", ", ".join(say(_item(name, item)) for item in items[:_MOST]) + more)


def _item(name: str, item: Any) -> str:
    text = item if isinstance(item, str) else _json(item)
    said = _ITEMS.get(name, {}).get(text)
    if said is None:
        said = text if text == "something" or not isinstance(item, str) else f"“{_cut(text)}”"
    return said


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)

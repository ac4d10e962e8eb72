"""Redirections of bash: what is read and written by them, and what a here-document holds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from .emptying import says_nothing
from .program import Findings
from .simple import Runner
from .syntax import text_of
from .words import word_of

if TYPE_CHECKING:
    from tree_sitter import Node

_DELIMITER = re.compile(r"\w+|'\w+'|\"\w+\"|\\\w+")


def redirect(node: Node, runner: Runner, variables: Mapping[str, str]) -> None:
    """Note the file or the host that a redirection leads to."""
    sign = next((child.type for child in node.children if child.type[:1] in "<>&"), ">")
    targets = node.children_by_field_name("destination")
    if not targets:
        return
    word = word_of(targets[0], variables)
    if match := re.match(r"/dev/(tcp|udp)/([^/]+)", word.text):
        runner.found.reach(match[2])
        runner.found.unknown("A connection is opened by bash.")
    elif sign in {">&", "<&", ">&-", "<&-"} and (
        targets[0].type == "number" or re.fullmatch(r"\d+-?|-", word.text)
    ):
        return
    elif sign.startswith("<"):
        runner.reads([word])
    else:
        runner.writes([word])
        if sign in {">", ">|", "&>"} and says_nothing(node) and not word.dynamic:
            runner.found.empty(word.text)


def herestring_text(node: Node, variables: Mapping[str, str]) -> str | None:
    """Return the text of a here-string, when it is known."""
    word = word_of(node.children[-1], variables)
    return None if word.dynamic else word.text


def heredoc_text(node: Node, found: Findings) -> str | None:
    """Return what a here-document holds, when nothing in it is replaced."""
    body = text = next((child for child in node.children if child.type == "heredoc_body"), None)
    start = next((text_of(child) for child in node.children if child.type == "heredoc_start"), "")
    end = next((text_of(child) for child in node.children if child.type == "heredoc_end"), "")
    written = "" if body is None else text_of(body)
    lines = [line.lstrip("\t") for line in written.splitlines()]
    if not _DELIMITER.fullmatch(start) or end.strip() != start.strip("'\"\\") or end.strip() in lines:
        found.undecided("Where a here-document ends is not clear.")
    if node.children and node.children[0].type == "<<-":
        written = "".join(line.lstrip("\t") for line in written.splitlines(keepends=True))
    quoted = start[:1] in "'\"\\"
    return None if text is None or (not quoted and re.search(r"[$`\\]", written)) else written

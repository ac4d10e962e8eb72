"""Bash: every simple command of a text, wherever it hides."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .calculation import note_numbers
from .expansions import looped
from .program import Findings, Program
from .redirections import heredoc_text, herestring_text, redirect
from .simple import Runner
from .syntax import check_gaps, constants, gives_up, is_set_once, leaves, names_word, read, text_of
from .table import names
from .variables import is_obeyed
from .words import Word, decode

if TYPE_CHECKING:
    from tree_sitter import Node

_LONGEST = 20_000
_MOST_ROUNDS = 32
_KNOWN = {"HOME": "~", "PWD": ".", "TMPDIR": "/tmp"}  # noqa: S108 - a path inside the sandbox
_FOLDERS_KEPT = frozenset({"subshell", "command_substitution", "process_substitution", "pipeline"})
_BRANCHES = names(
    "if_statement elif_clause else_clause while_statement for_statement c_style_for_statement"
    " case_statement case_item function_definition"
)
_SUBSTITUTIONS = frozenset({"command_substitution", "process_substitution"})


def parse(command: str) -> Program:
    """Return what a text of bash does; never raises.

    Args:
        command: The text, as bash gets it.
    """
    found = Findings()
    try:
        walk(command, Runner(found))
    except Exception as error:  # whatever goes wrong here, the command may do anything
        found.undecided(f"It cannot be understood ({type(error).__name__}).")
    if not found.effects:
        found.effects.add("reads")
    return found.program()


def walk(text: str, runner: Runner) -> None:
    """Note what a text of bash does, with a runner that says what is around it."""
    found = runner.found
    if len(text) > _LONGEST or runner.depth > 12:
        found.undecided("It is too long to be understood.")
        return
    root = read(text, found)
    note_numbers(root, found.numbers)
    _Walker(runner, root).visit(root)


class _Walker:
    """Visits a syntax tree.

    Args:
        runner: Takes the simple commands.
        root: The tree.
    """

    def __init__(self, runner: Runner, root: Node) -> None:
        self.runner = runner
        self.found = runner.found
        self.text = text_of(root)
        self.variables = {**_KNOWN, **constants(root, _KNOWN)}
        self.functions: set[str] = set()
        self.rounds = _MOST_ROUNDS

    def visit(self, node: Node, stdin: str | None = None) -> None:
        """Note what a node does.

        Args:
            node: The node.
            stdin: What it reads from its standard input, when that is known.
        """
        kind = node.type
        if kind == "command":
            self._command(node, stdin)
        elif kind == "redirected_statement":
            self._redirected(node)
        elif kind == "file_redirect":
            self._redirect(node)
        elif kind == "heredoc_redirect":
            self._heredoc(node)
        elif kind == "variable_assignment":
            self._assignment(node, exported=False)
        elif kind == "declaration_command" or kind == "unset_command":
            self._declaration(node)
        elif kind == "function_definition":
            self._function(node)
        elif kind == "list":
            self._list(node)
        elif kind in _FOLDERS_KEPT:
            before = self.found.cwds
            self._children(node)
            self.found.cwds = before
        elif kind == "for_statement":
            self._loop(node)
        elif kind in _BRANCHES:
            self._branches(node)
        elif kind == "ERROR":
            self.found.undecided("It is not what bash understands.")
            self._children(node)
        else:
            if kind == "expansion":
                self._expansion(node)
            self._children(node)

    def _children(self, node: Node) -> None:
        statements = node.type in {"program", "compound_statement", "do_group", *_FOLDERS_KEPT}
        for child in node.children:
            before = self.found.cwds
            self.visit(child)
            if statements and node.type != "pipeline":
                self._or(before, child)

    def _or(self, before: tuple[str | None, ...], node: Node) -> None:
        """Note that a change of the folder may have failed."""
        after = self.found.cwds
        if after == before or (node.type == "list" and gives_up(node)):
            return
        places = tuple(dict.fromkeys((*before, *after)))
        self.found.cwds = places if len(places) <= 8 else (None,)

    def _list(self, node: Node) -> None:
        left, sign, right = node.children[0], node.children[1].type, node.children[2:]
        before = self.found.cwds
        self.visit(left)
        after = self.found.cwds
        if sign == "||":
            self.found.cwds = before if not leaves(node.children[-1]) else after
        for child in right:
            self.visit(child)
        if sign == "||" and not leaves(node.children[-1]):
            self.found.cwds = tuple(dict.fromkeys((*after, *self.found.cwds)))

    def _loop(self, node: Node) -> None:
        """Visit a loop once for each of its words, when these are written there."""
        name, body = node.child_by_field_name("variable"), node.child_by_field_name("body")
        text = text_of(node)
        words = [
            word for child in node.children_by_field_name("value") for word in decode(child, self.variables)
        ]
        values = [None if word.dynamic else looped(word.text, self.text) for word in words]
        variable = "" if name is None else text_of(name)
        known = None not in values and is_set_once(variable, text) and not is_obeyed(variable, exported=False)
        if body is None or not known or not 0 < len(values) <= self.rounds:
            self._branches(node)
            return
        before, outer, rounds = self.found.cwds, dict(self.variables), self.rounds
        self.rounds //= len(values)  # of the loops in it
        for value in values:
            self.variables[variable] = value or ""
            self.visit(body)
        self.variables = outer
        self.rounds = rounds
        if self.found.cwds != before:
            self.found.cwds = (None,)

    def _branches(self, node: Node) -> None:
        for child in node.children:
            before = self.found.cwds
            self.visit(child)
            if self.found.cwds != before:
                places = tuple(dict.fromkeys((*before, *self.found.cwds)))
                # What follows in a loop runs where the last round has led.
                self.found.cwds = (
                    places if node.type in {"if_statement", "case_statement", "case_item"} else (None,)
                )

    def _expansion(self, node: Node) -> None:
        text = text_of(node)
        if re.search(r"@[PAEaKkQuUL]\}$", text) or text.startswith("${!"):
            self.found.undecided(f"What `{text}` becomes cannot be known.")
        match = re.match(r"\$\{(\w+):?=", text)
        if match and is_obeyed(match[1], exported=False):
            self.found.unknown(f"{match[1]} may change what programs run.")

    def _inside(self, node: Node) -> None:
        """Note what the substitutions in a word do."""
        if node.child_count:
            self.visit(node) if node.type in {*_SUBSTITUTIONS, "expansion"} else self._each(node)

    def _each(self, node: Node) -> None:
        for child in node.children:
            self._inside(child)

    def _command(self, node: Node, stdin: str | None, more: tuple[Node, ...] = ()) -> None:
        words: list[Word] = []
        called = node.child_by_field_name("name")
        for child in (*node.children, *more):
            if child.type == "variable_assignment":
                if called is None or called.text != b"read" or not (child.text or b"").startswith(b"IFS="):
                    self._assignment(child, exported=True)
            elif child.type == "herestring_redirect":
                self._each(child)
                stdin = herestring_text(child, self.variables)
            elif child.type in {"file_redirect", "heredoc_redirect"}:
                self.visit(child)
            elif child.type != "$":  # which stands before a string that would be translated
                if child.type == "`" or (b"`" in (child.text or b"") and b"\\`" in (child.text or b"")):
                    self.found.undecided("Substitutions in backquotes lie in each other.")
                self._inside(child)
                # Which program runs is said in the command itself, or is not known.
                words += decode(child, {} if child.type == "command_name" else self.variables)
        if words and not words[0].dynamic and words[0].text in self.functions:
            from .programs import HANDLERS
            from .table import SPECS

            if words[0].text not in HANDLERS and words[0].text not in SPECS:
                self.runner.note(words[0].text, words)
                return
        self.runner.run(words, stdin)

    def _redirected(self, node: Node) -> None:
        stdin, more, kept = None, [], self.found.cwds
        body = node.child_by_field_name("body")
        whole = body is not None and body.type == "list"
        if body is not None and whole:
            # What is redirected is its last command, which runs where those before have led.
            self.visit(body)
        for child in node.children:
            if child == body:
                continue
            if child.type == "file_redirect":
                more += child.children_by_field_name("destination")[1:]
            elif child.type == "heredoc_redirect":
                stdin = heredoc_text(child, self.found)
                more += child.children_by_field_name("argument")
            elif child.type == "herestring_redirect":
                stdin = herestring_text(child, self.variables)
                self._each(child)
                continue
            self.visit(child)
        if not whole:
            self.found.cwds = kept
        if body is None:
            for word in more:
                self.found.undecided(f"`{text_of(word)}` is a command after a redirection.")
        elif body.type == "command":
            self._command(body, stdin, tuple(more))
        else:
            if not whole:
                self.visit(body, stdin)
            if more:
                self.found.undecided("Words stand after a redirection.")

    def _redirect(self, node: Node) -> None:
        for target in node.children_by_field_name("destination"):
            self._inside(target)
        redirect(node, self.runner, self.variables)

    def _heredoc(self, node: Node) -> None:
        start = next((text_of(child) for child in node.children if child.type == "heredoc_start"), "")
        for child in node.children:
            if child.type == "heredoc_body":
                self._each(child)
                if start[:1] not in {"'", '"', "\\"}:
                    check_gaps(child, self.found)
            elif child.type == "file_redirect":
                self._redirect(child)
                if len(child.children_by_field_name("destination")) > 1:
                    self.found.undecided("Words stand after a redirection.")
            elif child.type not in {"heredoc_start", "heredoc_end"}:
                self.visit(child)

    def _assignment(self, node: Node, *, exported: bool) -> None:
        name = text_of(node.children[0]) if node.children else ""
        for child in node.children:
            self._inside(child) if child.type in _SUBSTITUTIONS else self._each(child)
        if is_obeyed(re.split(r"\[", name)[0], exported=exported):
            self.found.unknown(f"{name} may change what programs run.")

    def _declaration(self, node: Node) -> None:
        words = [Word(text_of(node.children[0]))]
        for child in node.children[1:]:
            if child.type == "variable_assignment":
                self._assignment(child, exported=False)
                words.append(Word(text_of(child), operand=True))
            elif child.type in {"file_redirect", "heredoc_redirect", "herestring_redirect"}:
                self.visit(child)
            else:
                self._inside(child)
                words += decode(child, self.variables)
        self.runner.run(words)

    def _function(self, node: Node) -> None:
        name = node.child_by_field_name("name")
        if name is not None and node.parent is not None and node.parent.type == "program":
            self.functions.add(text_of(name))
        body = node.child_by_field_name("body")
        if name is not None and body is not None and names_word(text_of(body), text_of(name)):
            self.found.unknown(f"{text_of(name)} calls itself.")
        self._branches(node)

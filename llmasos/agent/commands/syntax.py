"""The syntax trees of bash, with checks that nothing hides from the parser."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from .program import Findings
from .table import names
from .words import decode

if TYPE_CHECKING:
    from tree_sitter import Language, Node

_MOST_NODES = 20_000
_MOST_CONSTANTS = 50
# A word that goes on in the next line, which the parser takes for two.
_GOES_ON = re.compile(r"(?<!\\)(?:\\\\)*\\\n(?!\s)")
# A line that holds nothing but that, which the parser does not see.
_BLANK = re.compile(r"(?:^|\n)[ \t]*\\\n")
_WORD_BEFORE = re.compile(r"[^\s;&|()<>]")
_EVALUATED = re.compile(r"\[[^\[\]\n]*(\$\(|`)")
_LITERALS = frozenset({"raw_string", "ansi_c_string", "string", "word"})
_WORDS = frozenset({"word", "number", "variable_name", "extglob_pattern"})
_ESCAPED = re.compile(r"\\.", re.DOTALL)
_BREAKS = re.compile(r"[\s;&<>]|^[|(]|[$`]\(")
_PLAIN = names("word string_content heredoc_content regex number extglob_pattern variable_name")
# Where bash looks for substitutions whatever the quotes in it.
_UNQUOTED = frozenset({"expansion", "arithmetic_expansion", "subscript"})
_SUBSTITUTING = names("command_substitution expansion arithmetic_expansion simple_expansion")
_BEGINS = re.compile(rb"\$[({\[]|`")
_HIDDEN = re.compile(r"(?<!\\)(?:\\\\)*(`|\$\()")


@functools.cache
def _language() -> Language:
    import tree_sitter_bash
    from tree_sitter import Language

    return Language(tree_sitter_bash.language())


def text_of(node: Node) -> str:
    """Return how a node is written."""
    return (node.text or b"").decode(errors="replace")


def read(text: str, found: Findings) -> Node:
    """Return the root of a text's syntax tree, and note what the tree does not tell."""
    from tree_sitter import Parser

    if _BLANK.search(text) or any(
        _WORD_BEFORE.match(text[match.end() - 3 : match.end() - 2]) for match in _GOES_ON.finditer(text)
    ):
        found.undecided("A word goes on in the next line.")
    if "\0" in text or "\r" in text:
        found.undecided("It holds characters that no command has.")
    source = text.encode(errors="replace")
    root = Parser(_language()).parse(source).root_node
    if root.has_error:
        found.undecided("It is not what bash understands.")
    _check_tokens(root, source, found)
    return root


def _check_tokens(root: Node, source: bytes, found: Findings) -> None:
    """Note text that the parser left out, so that nothing hides there."""
    at, count, stack = 0, 0, [root]
    check_unquoted(root, found)
    while stack:
        node = stack.pop()
        count += 1
        if count > _MOST_NODES:
            found.undecided("It is too long to be understood.")
            return
        if node.type in _LITERALS and _EVALUATED.search(_written(node)):
            found.undecided("It holds commands that bash may run where it calculates.")
        if node.type in _WORDS and not node.child_count and _BREAKS.search(_ESCAPED.sub("", text_of(node))):
            found.undecided("Where a word ends is not clear.")
        if node.type == "command_substitution" and re.match(r"`.*(\\|<<)", text_of(node), re.DOTALL):
            found.undecided("What stands in backquotes is not clear.")
        if node.type == "=~" and node.parent is not None and node.parent.type == "command":
            found.undecided("A word is taken for a comparison.")
        if node.type == "comment":
            before = source[node.start_byte - 1 : node.start_byte]
            if (
                b"\n" in (node.text or b"")
                or b"`" in (node.text or b"")
                or (before and before not in b" \t\n;&|(")
            ):
                found.undecided("What is a comment is not clear.")
        if node.child_count:
            stack.extend(reversed(node.children))
            if node.type in {"string", "heredoc_body", "expansion", "concatenation"}:
                check_gaps(node, found)
            if node.type not in {"string", "heredoc_body"}:
                continue
        elif node.type in _PLAIN and _HIDDEN.search(text_of(node)):
            found.undecided("A substitution in it is not understood.")
        gap = source[at : node.start_byte]
        # The parser leaves out a `-` that stands right before a here-document.
        dash = gap.strip() == b"-" and node.type in {"<<", "<<-"}
        if gap.strip(b" \t\n\\") and node.start_byte >= at and not dash:
            found.undecided("A part of it is not understood.")
        at = max(at, node.end_byte)
    if source[at:].strip(b" \t\n\\"):
        found.undecided("A part of it is not understood.")


def _written(node: Node) -> str:
    """Return a text as a program gets it, without the substitutions that bash makes itself."""
    text = text_of(node)
    if node.type == "ansi_c_string":
        return decode(node, {})[0].text
    if node.type in {"string", "word"}:
        text = re.sub(r"(?<!\\)(?:\\\\)*[$`]", "", text).replace("\\", "")
    return text


def check_unquoted(root: Node, found: Findings) -> None:
    """Note substitutions in what bash expands whatever the quotes in it, which the parser takes for text."""
    stack = [(root, False)]
    while stack:
        node, inside = stack.pop()
        if not inside and (
            node.type in _UNQUOTED or (node.type == "compound_statement" and node.children[0].type == "((")
        ):
            _check_begins(node, found)
            inside = True
        inside = inside and node.type not in {"command_substitution", "process_substitution"}
        stack += [(child, inside) for child in node.children]


def _check_begins(root: Node, found: Findings) -> None:
    known, stack = set(), [root]
    substituted = []
    while stack:
        node = stack.pop()
        if node.type in _SUBSTITUTING:
            blank = len(node.text or b"") - len((node.text or b"").lstrip())
            known.add(node.start_byte + blank)  # the parser begins some with the space before them
        if node.type in {"command_substitution", "process_substitution"}:
            substituted.append((node.start_byte, node.end_byte))
        else:
            stack += node.children
    source = bytearray(root.text or b"")
    for start, end in substituted:
        source[start - root.start_byte : end - root.start_byte] = b" " * (end - start)
    for match in _BEGINS.finditer(source):
        if match.start() + root.start_byte not in known or match[0] == b"`":
            found.undecided("A substitution in it is not understood.")


def check_gaps(node: Node, found: Findings) -> None:
    """Note substitutions in the text between the parts of a node."""
    at, source = node.start_byte, node.text or b""
    for child in (*node.children, None):
        end = node.end_byte if child is None else child.start_byte
        if _HIDDEN.search(source[at - node.start_byte : end - node.start_byte].decode(errors="replace")):
            found.undecided("A substitution in it is not understood.")
        at = end if child is None else child.end_byte


def constants(root: Node, given: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that have one value throughout, which is written there.

    Args:
        root: The tree.
        given: Variables that are known already.
    """
    text = text_of(root)
    if "=" not in text:
        return {}
    found: dict[str, str] = {}
    for at, node in enumerate(root.children[: 4 * _MOST_CONSTANTS]):
        if node.type != "variable_assignment" or len(node.children) != 3:
            continue
        following = root.children[at + 1].type if at + 1 < len(root.children) else "\n"
        name = text_of(node.children[0])
        value = node.children[2]
        if following == "&" or node.children[1].type != "=" or node.children[0].type != "variable_name":
            continue
        if len(found) >= _MOST_CONSTANTS or not is_set_once(name, text):
            continue
        if re.search(rf"\$\{{?{re.escape(name)}\b", text[: text.find(f"{name}=")]):
            continue
        words = decode(value, {**given, **found})
        if len(words) == 1 and not words[0].dynamic and not words[0].glob:
            found[name] = words[0].text
    return found


def is_set_once(name: str, text: str) -> bool:
    """Return whether a variable is named without a `$` only once, where it gets its value."""
    name = re.escape(name)
    if "((" not in text:
        text = re.sub(rf"(?<=\s)-{name}(?=\s)", "-", text)  # an option
    return (
        len(
            re.findall(
                rf"(?<![$\w{{]){name}(?!\w)|\$\{{[!#]?{name}[^}}%#/,^]"
                rf"|\b(?:printf|read|wait)\s[^;|&\n]*-\w+{name}(?!\w)",
                text,
            )
        )
        == 1
    )


def names_word(text: str, name: str) -> bool:
    """Return whether a text has a name as a word of its own."""
    return re.search(rf"(?<![\w./-]){re.escape(name)}(?![\w./=-])", text) is not None


def leaves(node: Node) -> bool:
    """Return whether nothing that follows a command is run."""
    return node.type == "command" and bool(re.match(rb"(exit|return|break|continue)\b", node.text or b""))


def gives_up(node: Node) -> bool:
    """Return whether what follows a list runs only when its change of the folder has worked."""
    return len(node.children) > 2 and node.children[1].type == "||" and leaves(node.children[-1])

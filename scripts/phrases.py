"""What a person reads on the terminal, as templates that a language's catalogue translates.

`python -m scripts.phrases` lists what has no translation yet, and what is translated and not said any more.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from llmasos.language.catalogue import NUMBER, TEXT, WORDS, read_catalogue, same_said

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "llmasos"
CATALOGUES = PACKAGE / "language"
_MOST = 6
_NUMERIC = re.compile(r"[-+,.\d]*[,dfgeg]$")
_NUMBERED = re.compile(r"(?<!\{)\{(\d+)(:[nw]|)\}(?!\})")
_GAP = re.compile(r"(?<!\{)\{(?::[nw])?\}(?!\})")
_WORD = re.compile(r"[A-Za-z]{2}")
_LABEL = re.compile(r" *[a-z]{3,} {2,}\{")
_UNITS = ("s", "k", "M", "MB", "GB", "MB/s", "%")
_FEWEST_LETTERS, _FEWEST_AFTER_GAP = 6, 12

# Which arguments of a function a person reads: by place, and by keyword.
_SHELL: dict[str, tuple[tuple[int, ...], tuple[str, ...]]] = {
    "say": ((0,), ()),
    "say_wrapped": ((0,), ()),
    "ask": ((0,), ()),
    "agreed": ((0,), ()),
    "confirmed": ((0,), ()),
    "translated": ((0,), ()),
    "_part": ((0, 1, 2), ("note",)),
    "Command": ((1,), ()),
    "BadParameter": ((0,), ()),
    "print": ((0,), ()),
    "Text": ((0,), ()),
    "TextColumn": ((0,), ()),
    "add_task": ((0,), ()),
    "_show": ((0,), ()),
    "append": ((0,), ()),
}
_ANYWHERE: dict[str, tuple[tuple[int, ...], tuple[str, ...]]] = {
    "Notice": ((), ("text",)),
    "TurnFinished": ((), ("error", "hint")),
    "TurnEnd": ((), ("error", "hint")),
    "Check": ((), ("part", "message", "fix")),
    "progress": ((0,), ()),
    "_progress": ((0,), ()),
    "tell": ((0,), ()),
    "_tell": ((0,), ()),
    "Progress": ((0,), ("what",)),
    "translated": ((0,), ()),
    "_say": ((0,), ()),
}
# Whose text a person does not read as it is, with who does.
UNSEEN_ERRORS = {
    "ToolError": "the model is told",
    "CallSyntaxError": "the model is told",
    "ApiError": "programs are told, in English",
}
UNSEEN_FILES = {
    "shell/mcp.py": "MCP hosts and their models are told",
    "shell/pictures.py": "escape sequences",
    "shell/markdown.py": "what models write",
    "shell/export_": "documents that are written",
    "shell/screen/pastes.py": "it is part of the request",
    "service/console/changes.py": "its pages have words of their own",
    "service/console/door.py": "its pages have words of their own",
    "service/console/forms.py": "its pages have words of their own",
    "service/console/hunks.py": "its pages have words of their own",
    "service/console/runs.py": "its pages have words of their own",
    "service/console/sessions.py": "its pages have words of their own",
    "service/console/turns.py": "its pages have words of their own",
    "ledger/node/": "programs are told, by JSON-RPC",
    "ledger/chains/memory.py": "a fake",
    "ledger/_fake.py": "a fake",
    "models/devices/sim.py": "a fake",
    "models/chat/fake.py": "a fake",
    "cluster/fake.py": "a fake",
    "federated/fake.py": "a fake",
    "tools/plugins/": "authors of plugins are told",
    "tools/analysis/inside/": "the model is told",
    "sandbox/worker/": "the model is told",
}
# Constants of the shell that are words of lines, each looked up by itself.
TABLES = {
    "shell/words.py": ("MODEL_STATES",),
    "shell/watching.py": ("STATES",),
    "shell/tools.py": ("_STATES",),
    "shell/commands.py": ("_KEYS",),
    "shell/known.py": ("_FIXED",),
    "shell/approval.py": ("_FOUND",),
    "shell/explanations.py": ("_SOURCES",),
    "shell/model_lines.py": ("_KINDS",),
    "federated/deployment/site.py": ("_ROWS", "_STANDS"),
    "flips.py": ("_AND", "_VERDICTS", "_EFFECTS", "_SOURCES", "_FACTS", "_ITEMS"),
}
# Names, commands and styles, which are alike in every language.
ALIKE = (
    *("LLMasOS", "Docker", "docker", "bubblewrap", "transformers", "python", "dim", "md"),
    *("llmasos {0}", "record-{0}", "bubblewrap {0}", "{{task.description}}", "{{task.fields[amount]}}"),
    *("pip install llmasos", "pip install 'llmasos[transformers]'", "apt-get install bubblewrap"),
    # It becomes the request, from which the policy knows what a person wrote.
    *("Run over {0}:\n{1}", "Run over the inputs:\n{0}"),
)
# Words of the API that lines show as they are.
WIRE = ("added", "changed", "deleted", "renamed", "requests", "passages", "files")
CLICK = (
    "Usage:",
    "Options",
    "Commands",
    "Arguments",
    "Show this message and exit.",
    "default: {}",
    "required",
    "Error: {:w}",
    "Try '{}' for help.",
    "Invalid value: {:w}",
    "Invalid value for {}: {:w}",
    "Missing argument '{}'.",
    "Missing option '{}'.",
    "Missing command.",
    "No such command '{}'.",
    "No such command '{}'. Did you mean '{}'?",
    "No such option '{}'.",
    "No such option '{}'. Did you mean '{}'?",
    "Got unexpected extra argument ({})",
    "Got unexpected extra arguments ({})",
    "Option '{}' requires an argument.",
    "Option '{}' does not take a value.",
    "'{}' is not a valid {:w}.",
    "integer",
    "integer range",
    "float",
    "float range",
    "{} is not in the range {}.",
)
"""What Click says, in its words."""


@dataclass
class Scope:
    """What names stand for in a function, where they stand for text."""

    values: dict[str, list[ast.expr]] = field(default_factory=dict)
    above: Scope | None = None

    def find(self, name: str) -> list[ast.expr]:
        """Return what a name may stand for; nothing when that is not known."""
        if name in self.values:
            return self.values[name]
        return self.above.find(name) if self.above is not None else []


@dataclass
class Phrases:
    """What is said, with where the first of each is said; by what it says whatever the kinds of its gaps."""

    phrases: dict[str, str] = field(default_factory=dict)
    where: dict[str, str] = field(default_factory=dict)

    def add(self, texts: Sequence[str], where: str) -> None:
        """Take in templates; those that say nothing, or nearly nothing, are left out."""
        for text in texts:
            phrase = numbered(text)
            if not _says(text) or phrase in ALIKE:
                continue
            key = same_said(phrase)
            self.where.setdefault(key, where)
            self.phrases[key] = merged(self.phrases.get(key, phrase), phrase)


def collect() -> dict[str, str]:
    """Return every phrase with where it is said."""
    phrases = Phrases()
    kinds = _errors()
    for file in sorted(PACKAGE.rglob("*.py")):
        name = str(file.relative_to(PACKAGE))
        if not name.startswith(tuple(UNSEEN_FILES)):
            tree = ast.parse(file.read_text())
            helpers = _helpers(tree, kinds)
            words: set[tuple[str, str]] = set()
            scoped = list(_scoped(tree, Scope()))
            for node, scope in scoped if helpers else ():
                where = f"{name}:{getattr(node, 'lineno', 0)}"
                for helper, said in _handed(node, scope, helpers):
                    words.add(helper)
                    phrases.add([said], where)
            for node, scope in _scoped(tree, Scope(), words) if words else scoped:
                where = f"{name}:{getattr(node, 'lineno', 0)}"
                phrases.add(list(_said(node, scope, name, kinds)), where)
    for text, where in _helps():
        phrases.add([_escaped(text)], where)
    phrases.add(CLICK, "click")
    phrases.add(WIRE, "api")
    rules = tomllib.loads((PACKAGE / "agent" / "policy" / "builtin.toml").read_text())["rule"]
    phrases.add([re.sub(r"\{\w+\}", TEXT, rule.get("reason", "")) for rule in rules], "builtin.toml")
    return {phrase: phrases.where[key] for key, phrase in phrases.phrases.items()}


def _said(node: ast.AST, scope: Scope, name: str, kinds: set[str]) -> Iterator[str]:
    in_shell = name.startswith("shell/")
    match node:
        case ast.Call(func=func, args=args, keywords=keywords):
            called = ast.unparse(func).split(".")[-1]
            given = {one.arg: one.value for one in keywords}
            places, named = _ANYWHERE.get(called, ((), ()))
            if called in kinds or (ast.unparse(func) == "super().__init__" and "hint" in given):
                places, named = (0,), ("message", "hint")
            elif in_shell and called in _SHELL:
                places, named = _SHELL[called]
            elif in_shell and called == "count" and len(args) == 2:
                for noun in templates(args[1], scope):
                    yield from (f"{NUMBER} {noun}", f"{NUMBER} {noun}s")
            for one in [*(args[at] for at in places if at < len(args)), *map(given.get, named)]:
                yield from templates(one, scope)
        case ast.Return(value=ast.expr() as value) | ast.Yield(value=ast.expr() as value) if in_shell:
            for one in value.elts if isinstance(value, ast.List | ast.Tuple) else [value]:
                yield from templates(one, scope)
        case (
            ast.Assign(targets=[ast.Name(id=table)], value=value)
            | ast.AnnAssign(target=ast.Name(id=table), value=ast.expr() as value)
        ) if table in TABLES.get(name, ()):
            yield from _words(value)


def _helpers(tree: ast.Module, kinds: set[str]) -> dict[str, dict[str, int]]:
    """Return, of the functions that make errors, the parameters that become a part of their words."""
    found: dict[str, dict[str, int]] = {}
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        names = [one.arg for one in function.args.args if one.arg not in ("self", "cls")]
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in kinds:
                said = [
                    *node.args[:1],
                    *(one.value for one in node.keywords if one.arg in ("message", "hint")),
                ]
                used = {one.id for each in said for one in ast.walk(each) if isinstance(one, ast.Name)}
                handed = {name: at for at, name in enumerate(names) if name in used}
                found.setdefault(function.name, {}).update(handed)
    return found


def _handed(
    node: ast.AST, scope: Scope, helpers: dict[str, dict[str, int]]
) -> Iterator[tuple[tuple[str, str], str]]:
    """Yield what a function is handed that makes an error of it, each with the function and the parameter."""
    called = ast.unparse(node.func).split(".")[-1] if isinstance(node, ast.Call) else ""
    if isinstance(node, ast.Call) and (places := helpers.get(called)):
        given = {one.arg: one.value for one in node.keywords}
        for name, at in places.items():
            one = given.get(name) or (node.args[at] if at < len(node.args) else None)
            yield from (((called, name), text) for text in templates(one, scope) if " " in text.strip())


def _words(node: ast.expr) -> Iterator[str]:
    """Return the texts of a table: a dict's values, at any depth, and a tuple's items."""
    match node:
        case ast.Dict(values=values) | ast.Tuple(elts=values):
            for value in values:
                yield from _words(value)
        case ast.BinOp(left=left, right=right):
            yield from _words(left)
            yield from _words(right)
        case ast.Call(args=[_, value]):
            yield from _words(value)
        case ast.Constant(value=str(text)):
            yield re.sub(r"\{\w*\}", TEXT, text)


def templates(node: ast.expr | None, scope: Scope, depth: int = 0) -> list[str]:
    """Return what an expression can say; empty when that is not known."""
    match node:
        case ast.Constant(value=str(text)):
            return [_escaped(text)]
        case ast.JoinedStr(values=parts):
            return _joined([_part(part, scope, depth) for part in parts])
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            return _joined([templates(one, scope, depth) or [TEXT] for one in (left, right)])
        case ast.IfExp(body=body, orelse=orelse):
            return _several([body, orelse], scope, depth)
        case ast.BoolOp(values=values):
            return _several(values, scope, depth)
        case ast.Name(id="{:w}"):
            return [WORDS]
        case ast.Name(id=name) if depth < 3:
            return _several(scope.find(name), scope, depth + 1)
        case ast.Call(func=ast.Name(id="keys"), args=[ast.Name(id=name)]):
            return [
                text for one in scope.find(name) if isinstance(one, ast.Dict) for text in _texts(one.keys)
            ]
        case ast.Call(func=ast.Name(id="first"), args=[ast.Tuple(elts=rows)]):
            return _texts([row.elts[0] for row in rows if isinstance(row, ast.Tuple)])
        case ast.Call(func=ast.Attribute(value=inner, attr="strip" | "rstrip" | "lower")):
            return templates(inner, scope, depth)
        case ast.Call(func=ast.Name(id="display" | "display_name" | "translated"), args=[inner, *_]):
            return templates(inner, scope, depth)
    return []


def _texts(nodes: Sequence[ast.expr | None]) -> list[str]:
    return [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]


def _several(nodes: Sequence[ast.expr], scope: Scope, depth: int) -> list[str]:
    found = [templates(node, scope, depth) or [TEXT] for node in nodes]
    return list(dict.fromkeys(text for each in found for text in each))


def _part(node: ast.expr, scope: Scope, depth: int) -> list[str]:
    if not isinstance(node, ast.FormattedValue):
        return templates(node, scope, depth)
    if node.conversion != -1:
        return [TEXT]
    if node.format_spec is not None:
        return [NUMBER if _NUMERIC.fullmatch(ast.unparse(node.format_spec)[2:-1]) else TEXT]
    if isinstance(node.value, ast.Call) and (kind := _CALLS.get(ast.unparse(node.value.func))):
        return [kind]
    return templates(node.value, scope, depth) or [TEXT]


def _joined(parts: list[list[str]]) -> list[str]:
    def size() -> int:
        product_ = 1
        for each in parts:
            product_ *= len(each)
        return product_

    while size() > _MOST:
        # What has the most forms becomes a gap.
        parts[max(range(len(parts)), key=lambda at: len(parts[at]))] = [TEXT]
    return list(dict.fromkeys("".join(each) for each in product(*parts)))


def _scoped(
    tree: ast.AST, scope: Scope, words: Collection[tuple[str, str]] = ()
) -> Iterator[tuple[ast.AST, Scope]]:
    """Yield every node with what names stand for where it is.

    Args:
        tree: The node that it begins with.
        scope: What names stand for outside of it.
        words: Parameters, by their functions, that are handed words of ours.
    """
    waiting = [(tree, scope)]
    while waiting:
        node, scope = waiting.pop()
        if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef):
            scope = _inside(node, scope, words)
        yield node, scope
        waiting += [(child, scope) for child in _children(node)][::-1]


def _inside(
    node: ast.Module | ast.FunctionDef | ast.AsyncFunctionDef,
    scope: Scope,
    words: Collection[tuple[str, str]],
) -> Scope:
    inner = Scope(above=scope)
    if not isinstance(node, ast.Module):
        for argument in ast.walk(node.args):
            if isinstance(argument, ast.arg):
                known = [ast.Name(WORDS)] if (node.name, argument.arg) in words else []
                inner.values[argument.arg] = list[ast.expr](known)
    waiting: list[ast.AST] = [*reversed(node.body)]
    while waiting:
        own = waiting.pop()
        for name, value in _assigned(own):
            inner.values.setdefault(name, []).append(value)
        if not isinstance(own, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            waiting += _children(own)[::-1]
    return inner


def _children(node: ast.AST) -> list[ast.AST]:
    """Return what a node consists of; names and constants consist of nothing."""
    return [] if isinstance(node, ast.Name | ast.Constant) else list(ast.iter_child_nodes(node))


_CALLS = {"count": WORDS, "clock_time": NUMBER, "amount": NUMBER}
_UNKNOWN = ast.Constant(value=None)


def _assigned(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    match node:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            yield name, value
        case ast.AugAssign(target=ast.Name(id=name)) | ast.NamedExpr(target=ast.Name(id=name)):
            yield name, _UNKNOWN
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            yield name, value
        case ast.Assign(targets=[ast.Tuple(elts=names)], value=value):
            values = value.elts if isinstance(value, ast.Tuple) else [_UNKNOWN] * len(names)
            for one, each in zip(names, values, strict=False):
                if isinstance(one, ast.Name):
                    yield one.id, each
        case ast.For(target=target, iter=rows) | ast.comprehension(target=target, iter=rows):
            loops = [one.id for one in ast.walk(target) if isinstance(one, ast.Name)]
            match rows:
                # Of a table's rows, what comes first is a word of ours.
                case ast.Call(func=ast.Attribute(value=ast.Name() as table, attr="items")):
                    yield loops[0], ast.Call(ast.Name("keys"), [table], [])
                case ast.Tuple():
                    yield loops[0], ast.Call(ast.Name("first"), [rows], [])
                case _:
                    yield loops[0], _UNKNOWN
            yield from ((name, _UNKNOWN) for name in loops[1:])


def _errors() -> set[str]:
    """Return the names of the errors that a person can act on."""
    bases: dict[str, set[str]] = {}
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ClassDef):
                above = {ast.unparse(one).split(".")[-1] for one in node.bases}
                bases.setdefault(node.name, set()).update(above)
    found = {"LLMasOSError"}
    while more := {name for name, above in bases.items() if above & found} - found - set(UNSEEN_ERRORS):
        found |= more
    return found


def _helps() -> Iterator[tuple[str, str]]:
    """Yield what `--help` says, paragraph by paragraph, and what a list of commands says of each."""
    import typer

    from llmasos.shell.cli import app

    def below(command: Any, path: str) -> Iterator[tuple[str, str]]:
        paragraphs = [" ".join(each.split()) for each in (command.help or "").split("\n\n")]
        for paragraph in paragraphs:
            yield paragraph, path
        yield re.split(r"(?<=\.)\s", paragraphs[0])[0], path
        for one in command.params:
            yield " ".join((getattr(one, "help", None) or "").split()), path
        for name, inner in getattr(command, "commands", {}).items():
            yield from below(inner, f"{path} {name}")

    yield from below(typer.main.get_command(app), "llmasos")


def numbered(template: str) -> str:
    """Return a template with its gaps counted, as a catalogue has it."""
    number = iter(range(1000))
    return _GAP.sub(lambda gap: "{" + str(next(number)) + gap[0][1:-1] + "}", template.strip(" "))


def merged(phrase: str, other: str) -> str:
    """Return a phrase that is said at two places, with gaps for what is put in at either."""
    others = iter(_NUMBERED.findall(other))

    def gap(found: re.Match[str]) -> str:
        kinds = {found[2], next(others)[1]}
        return f"{{{found[1]}{':w' if ':w' in kinds else '' if '' in kinds else ':n'}}}"

    return _NUMBERED.sub(gap, phrase)


def _says(template: str) -> bool:
    """Return whether a template has words; with gaps, so many that no other text is taken for it."""
    bare = _GAP.sub("", template)
    letters = len(re.sub(r"[^A-Za-z]", "", bare))
    if bare == template:
        return _WORD.search(bare) is not None
    if bare.strip() in _UNITS:
        return False
    if _LABEL.match(template) or TEXT not in template:
        return letters > 0
    if template.endswith("."):
        return letters >= _FEWEST_LETTERS
    return letters >= (_FEWEST_AFTER_GAP if template.lstrip(" #").startswith(TEXT) else _FEWEST_LETTERS)


def _escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def main() -> int:
    """Print what is missing and what is left over; the exit code is 1 when there is any."""
    found = collect()
    said = {same_said(phrase): phrase for phrase in found}
    where = {same_said(phrase): place for phrase, place in found.items()}
    wrong = 0
    for file in sorted(CATALOGUES.glob("*.po")):
        known = {same_said(one) for one in read_catalogue(file)}
        for one in said.keys() - known:
            print(f"{file.name}: no translation of {said[one]!r} ({where[one]})")
        for one in known - said.keys():
            print(f"{file.name}: nobody says {one!r}")
        wrong += len(said.keys() ^ known)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

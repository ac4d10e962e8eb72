"""What Python starts and asks outside of itself: programs and hosts."""

from __future__ import annotations

import ast
import re

from .databases import Databases
from .files import argument
from .network import host_of
from .table import names

_CLIENTS = names("get post put delete head patch options request urlopen urlretrieve stream")
_CONNECTIONS = names("create_connection SMTP SMTP_SSL FTP HTTPSConnection HTTPConnection")


class Outside(Databases):
    """Finds out which programs calls run and which hosts they reach, and notes it."""

    def runs(self, node: ast.Call, name: str) -> None:
        """Note a function that may run anything, or that reaches a host."""
        if name in {"urlopen", "urlretrieve"}:
            self.reaches(node, name)
        else:
            self.found.unknown(f"{name}() may run anything.")

    def commands(self, node: ast.Call, name: str) -> None:
        """Note a command that is run, as far as it is written there."""
        from .bash import walk
        from .simple import Runner
        from .words import Word

        given = argument(node, 0, "args")
        runner = Runner(self.found, self.depth + 1, ("python",))
        if any(word.arg in {"env", "preexec_fn", "executable", None} for word in node.keywords):
            self.found.unknown("It is run in another environment.")
        if any(word.arg == "cwd" for word in node.keywords):
            self.found.vague("It is run in another folder.")
        self.found.effects.add("executes")
        if isinstance(given, ast.List | ast.Tuple):
            words = [(item, self.values.path(item)) for item in given.elts]
            runner.run([Word(text or ast.unparse(item), dynamic=text is None) for item, text in words])
        elif given is not None and (text := self.values.text(given)) is not None:
            walk(text, runner)
        else:
            self.found.undecided(f"What {name} runs cannot be known.")

    def reaches(self, node: ast.Call, name: str) -> None:
        """Note the hosts that a client is given."""
        self.found.effects.add("network")
        given = [
            *node.args,
            *(word.value for word in node.keywords if word.arg in {"url", "host", "address"}),
        ]
        if given and isinstance(given[0], ast.Tuple):
            given = given[0].elts
        hosts = [host_of(self._start(item) or "") for item in given]
        if not any(hosts) and given and name in _CONNECTIONS:
            hosts = [host_of(self.values.text(given[0]) or "", bare=True)]
        if any(hosts):
            self.found.reach(*hosts)
        elif name in _CLIENTS | _CONNECTIONS:
            self.found.vague("Which host is reached cannot be known.")
        if name == "urlretrieve" and len(node.args) > 1:
            self.target(node.args[1])

    def _start(self, node: ast.expr) -> str | None:
        """Return a text, or its beginning when that names a whole host."""
        text = self.values.text(node)
        if text is not None:
            return text
        start: str | None = None
        if isinstance(node, ast.JoinedStr) and node.values:
            start = self.values.text(node.values[0])
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            start = self._start(node.left)
        return start if start and re.match(r"\w+://[^/]+/", start) else None

"""`llmasos explain`: why something was done."""

from __future__ import annotations

from typing import Annotated

import typer

from llmasos.shell.ask import ask
from llmasos.shell.output import say_found


def explain(
    what: Annotated[
        str, typer.Argument(metavar="[ACTION|TURN]", help="What to explain; by default the last turn.")
    ] = "last",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Explain why something was done, from the log alone."""
    from llmasos.shell.explanations import explanation_lines

    say_found(ask(lambda client: client.explain(what)), as_json, explanation_lines)

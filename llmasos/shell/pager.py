"""Long text in the person's pager, or printed where there is none."""

from __future__ import annotations

import os
import shlex
import shutil
from typing import TYPE_CHECKING

from llmasos.shell.output import say, say_text

if TYPE_CHECKING:
    from llmasos.shell.folds import Fold
    from llmasos.shell.screen import Screen


async def page(screen: Screen, fold: Fold) -> None:
    """Show all of a folded text that is kept.

    Args:
        screen: The terminal, which the pager takes meanwhile.
        fold: The text.
    """
    lost = f"\n[… {fold.lost:,} more characters are not kept]" if fold.lost else ""
    program = pager()
    if program and await screen.run(program, f"{fold.title}\n\n{fold.text}{lost}\n"):
        return
    say(fold.title)
    say_text(fold.text + lost)


def pager() -> list[str]:
    """Return the command of the person's pager; empty when there is none."""
    named = os.environ.get("PAGER", "less" if shutil.which("less") else "")
    try:
        words = shlex.split(named)
    except ValueError:
        return []
    if not words or shutil.which(words[0]) is None:
        return []
    return words if words[0] != "less" or len(words) > 1 else ["less", "-R"]

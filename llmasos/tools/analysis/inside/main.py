"""The two things that are done inside: looking at data, and answering with a query."""

from __future__ import annotations

import os
from typing import Any, Callable

from .picture import draw
from .profile import profile
from .query import run
from .shape import chart_of
from .sources import connect, open_sources
from .tables import DataError


def look(path: str, memory_mb: int, tell: Callable[[dict[str, Any]], object]) -> None:
    """Tell what data there is.

    Args:
        path: A file or a folder of the workspace.
        memory_mb: The sandbox's memory in MiB.
        tell: Takes the profile, or what is wrong.
    """
    try:
        con = connect(memory_mb)
        sources, left_out = open_sources(con, path)
        tables = [profile(con, one, os.path.getsize(one.file)) for one in sources]
        tell({"tables": tables, "left_out": left_out})
    except DataError as error:
        tell({"error": str(error)})


def answer(
    path: str,
    sql: str,
    question: str,
    memory_mb: int,
    tell: Callable[[dict[str, Any]], object],
    keep: Callable[[bytes, str], object],
    save_as: str = "",
) -> None:
    """Run a query, tell its rows, and hand out a chart of them where they make one.

    Args:
        path: A file or a folder of the workspace.
        sql: The query.
        question: The title of a chart.
        memory_mb: The sandbox's memory in MiB.
        tell: Takes the result, or what is wrong.
        keep: Hands out a picture.
        save_as: A file of the workspace that gets all rows as CSV.
    """
    try:
        con = connect(memory_mb)
        open_sources(con, path)
        result = run(con, sql, save_as)
    except DataError as error:
        tell({"error": str(error)})
        return
    result["chart"] = chart_of(result["columns"], result["rows"], question)
    tell(result)
    if result["chart"]:
        keep(draw(result["chart"]), "chart.png")

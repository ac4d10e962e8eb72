"""An analysis as a Jupyter notebook that can be run again (nbformat 4.5)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from llmasos.tools.analysis.wording import table_of

_SHEETS = (".xlsx", ".xlsm")


def notebook_of(
    tables: Sequence[Mapping[str, Any]],
    question: str,
    answer: str,
    result: Mapping[str, Any],
    sql: str,
    rests: str,
) -> str:
    """Return the notebook as JSON.

    Args:
        tables: The tables, with the paths of their files.
        question: What was asked.
        answer: The answer in words.
        result: Columns, rows and perhaps a chart.
        sql: The query.
        rests: What the answer rests on.
    """
    cells = [
        _text(f"# {question}\n\n{answer}\n\n{rests}".rstrip()),
        _code("import duckdb\n\ncon = duckdb.connect()\n" + "\n".join(map(_opening, tables))),
        _code(f'result = con.sql("""\n{_in_quotes(sql)}\n""").df()\nresult', table_of(result)),
    ]
    if chart := result.get("chart"):
        cells.append(_code(_drawing(chart)))
    book = {
        "cells": [{"id": f"cell-{number}", **cell} for number, cell in enumerate(cells)],
        "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(book, ensure_ascii=False, indent=1) + "\n"


def _opening(table: Mapping[str, Any]) -> str:
    """Return what makes a table of a file, as it was made for the answer."""
    path, inner, name = table["file"], table["inner"], table["table"]
    if query := table["query"]:
        reading = ""
        if encoding := table["encoding"]:
            # DuckDB reads few encodings.
            recoded = f"{name}.utf-8.csv"
            reading = (
                "import pathlib\n"
                f"text = pathlib.Path({path!r}).read_text(encoding={encoding!r}, errors='replace')\n"
                f"pathlib.Path({recoded!r}).write_text(text, encoding='utf-8')\n"
            )
            query = query.replace("'" + path.replace("'", "''") + "'", f"'{recoded}'")
        return f"{reading}con.execute({f'CREATE VIEW {name} AS {query}'!r})"
    if PurePosixPath(path).suffix.lower() in _SHEETS:
        header = f", header={table['header']}" if table["header"] else ""
        frame = f"pandas.read_excel({path!r}, sheet_name={inner!r}{header})"
        return f"import pandas\ncon.register({name!r}, {frame})"
    quoted = inner.replace('"', '""')
    rows = f'SELECT * FROM "{quoted}"'  # noqa: S608 - what a person may run
    frame = f"pandas.read_sql({rows!r}, sqlite3.connect({path!r}))"
    return f"import sqlite3\nimport pandas\ncon.register({name!r}, {frame})"


def _drawing(chart: Mapping[str, Any]) -> str:
    kind = {"bar": "barh"}.get(chart["kind"], chart["kind"])
    return f"result.plot(kind={kind!r}, x={chart['x']!r}, y={chart['y']!r}, title={chart['title']!r})"


def _in_quotes(sql: str) -> str:
    return sql.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')


def _text(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": text}


def _code(source: str, shown: str = "") -> dict[str, Any]:
    data = {"text/markdown": shown, "text/plain": shown}
    output = {"output_type": "execute_result", "execution_count": None, "metadata": {}, "data": data}
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {},
        "outputs": [output] if shown else [],
        "source": source,
    }

"""An analysis as a Jupyter notebook that can be run again (nbformat 4.5)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from llmasos.tools.analysis.wording import table_of

_READERS = {
    ".tsv": "read_csv({}, delim='\\t', null_padding=true, ignore_errors=true)",
    ".json": "read_json_auto({})",
    ".jsonl": "read_json_auto({})",
    ".ndjson": "read_json_auto({})",
    ".parquet": "read_parquet({})",
}
_CSV = "read_csv({}, null_padding=true, ignore_errors=true)"
_SHEETS = (".xlsx", ".xlsm")
_BASES = (".sqlite", ".sqlite3", ".db")


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
    """Return what makes a table of a file."""
    path, inner = table["file"], table["inner"]
    ending = PurePosixPath(path).suffix.lower()
    name = table["table"]
    if ending in _SHEETS:
        frame = f"pandas.read_excel({path!r}, sheet_name={inner!r})"
        return f"import pandas\ncon.register({name!r}, {frame})"
    if ending in _BASES:
        quoted = inner.replace('"', '""')
        query = f'SELECT * FROM "{quoted}"'  # noqa: S608 - what a person may run
        frame = f"pandas.read_sql({query!r}, sqlite3.connect({path!r}))"
        return f"import sqlite3\nimport pandas\ncon.register({name!r}, {frame})"
    quoted = "'" + path.replace("'", "''") + "'"
    reader = _READERS.get(ending, _CSV).format(quoted)
    view = f"CREATE VIEW {name} AS SELECT * FROM {reader}"  # noqa: S608 - what a person may run
    return f"con.execute({view!r})"


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

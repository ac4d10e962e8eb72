"""An analysis as a page of its own: a chart to point at, and a table to sort."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from importlib import resources
from string import Template
from typing import Any


def page_of(question: str, answer: str, result: Mapping[str, Any], sql: str, rests: str) -> str:
    """Return the page as HTML that needs nothing else.

    Args:
        question: What was asked.
        answer: The answer in words.
        result: Columns, rows and perhaps a chart.
        sql: The query.
        rests: What the answer rests on.
    """
    text = resources.files("llmasos.tools.analysis").joinpath("page.html").read_text(encoding="utf-8")
    data = {"columns": result["columns"], "rows": result["rows"], "chart": result.get("chart")}
    # Nothing in the data ends the script that it stands in.
    shown = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c").replace("\u2028", "\\u2028")
    texts = {"question": question, "answer": answer, "query": sql, "rests": rests}
    # What is put in is not looked through again, so that no text can stand for another part.
    return Template(text).substitute({name: escape(text) for name, text in texts.items()}, data=shown)

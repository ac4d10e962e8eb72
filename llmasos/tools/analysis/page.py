"""An analysis as a page of its own: a chart to point at, and a table to sort."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from importlib import resources
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
    template = resources.files("llmasos.tools.analysis").joinpath("page.html").read_text(encoding="utf-8")
    data = {"columns": result["columns"], "rows": result["rows"], "chart": result.get("chart")}
    # Nothing in the data ends the script that it stands in.
    shown = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c").replace("\u2028", "\\u2028")
    texts = {"QUESTION": question, "ANSWER": answer, "QUERY": sql, "RESTS": rests}
    for name, text in texts.items():
        template = template.replace(f"@{name}@", escape(text))
    return template.replace("@DATA@", shown)

"""An analysis in words, as a chart, a page and a notebook."""

from __future__ import annotations

import ast
import json
from typing import Any

import pytest

from llmasos.tools._numbers import made_up
from llmasos.tools.analysis.inside.shape import chart_of
from llmasos.tools.analysis.notebook import notebook_of
from llmasos.tools.analysis.page import page_of
from llmasos.tools.analysis.wording import blocks_of, profile_lines, rests_line, table_of

BARS = {
    "kind": "bar",
    "title": "t",
    "x": "region",
    "y": "total",
    "points": [["north", 10], ["南", 5.5], ["x", 0]],
}


@pytest.mark.parametrize(
    ("columns", "rows", "kind"),
    [
        ([("region", "VARCHAR"), ("n", "BIGINT")], [["a", 1], ["b", 2]], "bar"),
        ([("region", "VARCHAR"), ("n", "NUMBER")], [["a", 1], ["b", 2]], "bar"),
        ([("day", "DATE"), ("n", "DOUBLE")], [["2024-02-01", 1], ["2024-01-01", 2]], "line"),
        ([("month", "BIGINT"), ("n", "BIGINT")], [[2, 1], [1, 2]], "line"),
        ([("x", "DOUBLE"), ("y", "DOUBLE")], [[2, 1], [1, 2]], "scatter"),
        ([("region", "VARCHAR"), ("n", "BIGINT")], [["a", 1]], None),
        ([("n", "BIGINT")], [[1], [2]], None),
        ([("a", "VARCHAR"), ("b", "VARCHAR")], [["a", "b"], ["c", "d"]], None),
        ([("region", "VARCHAR"), ("n", "BIGINT")], [["a", None], ["b", 2]], None),
        ([("region", "VARCHAR"), ("n", "BIGINT")], [[str(n), n] for n in range(100)], None),
    ],
)
def test_rows_make_the_chart_that_fits(columns: Any, rows: Any, kind: str | None) -> None:
    chart = chart_of(columns, rows, "title")
    assert (chart["kind"] if chart else None) == kind
    if kind == "line" and chart is not None:
        assert chart["points"] == sorted(chart["points"])


def test_bars_are_as_long_as_their_numbers() -> None:
    lines = blocks_of(BARS).split("\n")
    assert [line.count("█") for line in lines] == [30, 16, 0]
    assert lines[0].startswith("north ") and lines[0].endswith(" 10")
    assert lines[1].startswith("南    ") and "▌" in lines[1], "a wide letter takes two places"


def test_lines_rise_and_fall() -> None:
    chart = {**BARS, "kind": "line", "points": [[n, n % 10] for n in range(1000)]}
    text = blocks_of(chart)
    assert "▁" in text and len(text.split("\n")[1]) <= 60 and text.endswith("0 … 999")
    assert blocks_of({**BARS, "points": [["a", 0], ["b", 0]]}) == ""
    assert blocks_of({**BARS, "kind": "scatter"}) == ""


def test_a_profile_is_a_line_for_each_column() -> None:
    column = {
        "name": "Unit Price",
        "type": "DOUBLE",
        "missing": 2.5,
        "distinct": 3,
        "min": "1.0",
        "max": "99.5000001",
        "mean": "50.1",
        "median": "42.0",
        "common": [],
        "notes": ["odd"],
    }
    other = {
        **column,
        "name": "kind",
        "type": "VARCHAR",
        "common": [["a", 2], ["b", 1]],
        "missing": 0,
        "notes": [],
    }
    table = {
        "table": "t",
        "path": "t.csv",
        "rows": 1234,
        "columns": [column, other],
        "notes": ["its text is in GB18030"],
    }
    assert profile_lines(table) == [
        "table t: t.csv, 1,234 rows (its text is in GB18030)",
        '  "Unit Price" DOUBLE, 2.5% missing, 1 to 99.5, median 42, odd',
        "  kind VARCHAR, 3 values such as 'a', 'b'",
    ]


def test_tables_show_values_as_people_write_them() -> None:
    rows = [["a|b\nc", None, True, 1234567, 0.5, 0.0001]]
    result = {"columns": [[str(n), "X"] for n in range(6)], "rows": rows, "more": False}
    assert table_of(result).split("\n")[2] == "| a\\|b c |  | true | 1,234,567 | 0.5 | 0.0001 |"
    many = {"columns": [["n", "X"]], "rows": [[n] for n in range(1000)], "more": True}
    assert table_of(many).endswith("(1,000 or more rows; the first 20 are shown)")


def test_what_an_answer_rests_on_is_told() -> None:
    rests = [
        {"table": "a", "rows": 10, "of": 1000, "where": "x > 1", "some": False},
        {"table": "b", "rows": 5, "of": 5, "where": "", "some": False},
    ]
    assert (
        rests_line(rests, {"a": "a.csv"})
        == "Rests on 10 of 1,000 rows of a.csv, where x > 1; all 5 rows of b."
    )
    some = [{**rests[1], "some": True}]
    assert rests_line(some, {}) == "Rests on some of the 5 rows of b. The query says which."
    assert rests_line([], {}) == ""


@pytest.mark.parametrize(
    ("sentence", "wrong"),
    [
        ("The north sold 41,136.56.", []),
        ("The north sold about 41,137.", []),
        ("The north sold 41 thousand.", ["41"]),
        ("In 2024 it was 99.", ["99"]),
        ("Nothing was sold.", []),
    ],
)
def test_numbers_that_stand_nowhere_are_found(sentence: str, wrong: list[str]) -> None:
    assert made_up(sentence, "| north | 41,136.56 |\nin 2024?") == wrong


def test_the_page_needs_nothing_and_no_data_ends_its_script() -> None:
    result = {"columns": [["</script><script>alert(1)", "VARCHAR"]], "rows": [["<b>"]], "chart": BARS}
    page = page_of("<i>q", "a & b", result, "SELECT '<'", "")
    assert "&lt;i&gt;q" in page and "a &amp; b" in page and "alert(1)" in page
    assert page.count("</script>") == 2 and "<b>" not in page
    data = page.split('type="application/json">')[1].split("</script>")[0]
    assert json.loads(data) == result


def test_no_text_stands_for_another_part_of_the_page() -> None:
    result = {"columns": [["n", "BIGINT"]], "rows": [[1]], "more": False, "chart": None}
    page = page_of("what is $data?", "$query", result, "SELECT '$rests @DATA@'", "")
    assert "<h1>what is $data?</h1>" in page and "<p>$query</p>" in page


def _table(table: str, file: str, inner: str = "", **more: object) -> dict[str, object]:
    return {"table": table, "file": file, "inner": inner, "query": "", "encoding": "", "header": 0, **more}


def test_the_notebook_can_be_run_again() -> None:
    quoted = "'it''s: 12:30.csv'"
    tables = [
        _table("a", "it's: 12:30.csv", query=f"SELECT * REPLACE (1 AS n) FROM read_csv({quoted}, skip=2)"),
        _table("b", "b.xlsx", "Sheet 1", header=3),
        _table("c", "c.db", 'or"der'),
        _table("d", "gb.csv", query="SELECT * FROM read_csv('gb.csv')", encoding="gb18030"),
    ]
    result = {"columns": [["n", "BIGINT"]], "rows": [[1]], "more": False, "chart": BARS}
    book = json.loads(notebook_of(tables, "q", "a", result, "SELECT \"n\", '\\d' FROM a", "Rests."))
    assert (book["nbformat"], book["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in book["cells"]}) == len(book["cells"]) == 4
    for cell in book["cells"]:
        if cell["cell_type"] == "code":
            ast.parse(cell["source"])
    source = book["cells"][1]["source"]
    assert f"SELECT * REPLACE (1 AS n) FROM read_csv({quoted}, skip=2)" in source
    assert "sheet_name='Sheet 1', header=3" in source
    assert "encoding='gb18030'" in source and "read_csv('d.utf-8.csv')" in source

"""Questions about real files, answered in a real sandbox by a scripted model."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from llmasos.config import SandboxLimits, Settings
from llmasos.errors import ToolError
from llmasos.sandbox import JailProvider, Workspace
from llmasos.sandbox.image import sandbox_tree
from llmasos.tools import KernelContext
from llmasos.tools.analysis import analyze_data
from tests.tools.plugins.kernels import Context

pytestmark = [pytest.mark.anyio, pytest.mark.integration]


class Analyst(Context):
    """A context whose model says what it is told to, and keeps what it was asked."""

    def script(self, *replies: str) -> None:
        self.replies = list(replies)
        self.asked: list[tuple[str, str]] = []

    async def ask(
        self, instructions: str, text: str, *, max_tokens: int, examples: Sequence[tuple[str, str]] = ()
    ) -> str:
        self.asked.append((instructions, text))
        return self.replies.pop(0)

    async def run(self, **arguments: Any) -> str:
        made = await analyze_data.run(cast(KernelContext, self), analyze_data.validate(arguments))
        return str(made)


@asynccontextmanager
async def analyst(base: Path) -> AsyncIterator[Analyst]:
    settings = Settings(
        data_dir=base / "data", runtime_dir=base / "run", sandbox_pool=0, sandbox_limits=SandboxLimits()
    )
    provider = JailProvider(settings, tree=sandbox_tree(Settings()))
    try:
        workspace = Workspace.open(base / "folder", base / "state")
        sandbox = await provider.open(await workspace.view(), session="s")
        yield Analyst(sandbox, settings=settings, provider=provider)
        await sandbox.close()
    finally:
        await provider.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "folder"
    place.mkdir()
    rows = ["region,amount,day,note"]
    draw = random.Random(1)
    for number in range(1000):
        region = ("north", "south", "east", "west")[number % 4]
        amount = "" if number % 50 == 0 else f"{draw.uniform(0, 500):.2f}"
        rows.append(f"{region},{amount},2024-{number % 12 + 1:02d}-{number % 28 + 1:02d},=SUM(A1)")
    (place / "sales.csv").write_text("\n".join(rows) + "\n")
    return place


async def test_a_question_is_answered_with_all_it_rests_on(tmp_path: Path, folder: Path) -> None:
    sql = (
        "SELECT region, round(sum(amount), 2) AS total FROM sales WHERE day >= DATE '2024-07-01' "
        "GROUP BY region ORDER BY total DESC"
    )
    async with analyst(tmp_path) as it:
        it.script(f"Here it is:\n```sql\n{sql};\n```", "The best region made 99,999.99.")
        answer = await it.run(
            path="sales.csv", question="which region sold most in the second half?", save_as="a.ipynb"
        )
        saved = json.loads((await it.sandbox.read("a.ipynb")).data)
    assert "99,999" not in answer, "a number that is nowhere in the result is not told"
    assert "| region | total |" in answer and answer.count("█") > 20
    assert "of 1,000 rows of sales.csv, where" in answer and "CAST('2024-07-01' AS DATE)" in answer, answer
    assert sql in answer
    instructions, question = it.asked[0]
    assert "table sales: sales.csv, 1,000 rows" in instructions and question.startswith("which region")
    assert (
        "4 values such as 'east', 'north', 'south', 'west'" in instructions and "2% missing" in instructions
    )
    assert "values begin like formulas" in instructions
    kept = {one.name: one for one in it.kept}
    assert {one.media_type for one in it.kept} == {"image/png", "text/html"}
    page = next(one.data for one in it.kept if one.media_type == "text/html").decode()
    assert "2024-07-01" in page and "http" not in page.replace("http://www.w3.org/2000/svg", "") and kept
    assert [cell["cell_type"] for cell in saved["cells"]] == ["markdown", "code", "code", "code"]
    assert "read_csv('sales.csv'" in saved["cells"][1]["source"] and sql in saved["cells"][2]["source"]


async def test_the_table_or_the_answer_is_saved(tmp_path: Path, folder: Path) -> None:
    sql = "```sql\nSELECT region, count(*) AS n FROM sales GROUP BY ALL ORDER BY region\n```"
    async with analyst(tmp_path) as it:
        for name in ("total.csv", "answer.md"):
            it.script(sql, "Each has 250.")
            told = await it.run(path="sales.csv", question="how many of each region?", save_as=name)
            assert told.endswith(f"Saved {'all 4 rows' if name == 'total.csv' else 'this'} to {name}.")
        table = (await it.sandbox.read("total.csv")).data.decode()
        answer = (await it.sandbox.read("answer.md")).data.decode()
        with pytest.raises(ToolError, match=r"not saved as \.png") as raised:
            await it.run(path="sales.csv", question="how many?", save_as="chart.png")
        with pytest.raises(ToolError, match="is the data that is asked about"):
            await it.run(path="sales.csv", question="how many?", save_as="./sales.csv")
        with pytest.raises(ToolError, match="is the data that is asked about"):
            await it.run(path=".", question="how many?", save_as="sales.csv")
        broken = "```sql\nSELECT CASE WHEN i > 9000 THEN error('late') END AS n FROM range(12000) t(i)\n```"
        it.script(broken, broken)
        with pytest.raises(ToolError, match="late"):
            await it.run(path="sales.csv", question="list them", save_as="broken.csv")
        assert "broken" not in str(await it.sandbox.list("."))
        await it.run(path="sales.csv", save_as="profile.md")
        assert b"table sales" in (await it.sandbox.read("profile.md")).data
        with pytest.raises(ToolError, match="Without a question"):
            await it.run(path="sales.csv", save_as="profile.csv")
    assert table == "region,n\neast,250\nnorth,250\nsouth,250\nwest,250\n"
    assert answer.startswith("Each has 250.") and "SELECT region" in answer
    assert ".csv file for the table" in raised.value.hint


async def test_a_table_is_saved_whole_and_as_it_is(tmp_path: Path, folder: Path) -> None:
    sql = (
        "SELECT i, 12345678901234567.89::DECIMAL(20, 2) AS money, i > 1 AS late, 'a,\"b\"' || chr(13) || 'c' "
        "AS said, repeat('x', 400) AS long, NULL AS none, DATE '2024-01-02' AS day FROM range(12000) t(i)"
    )
    async with analyst(tmp_path) as it:
        it.script(f"```sql\n{sql}\n```", "Many.")
        told = await it.run(path="sales.csv", question="list them", save_as="deep/all.csv")
        data = (await it.sandbox.read("deep/all.csv", limit=10_000_000)).data.decode()
    assert told.endswith("Saved all 12,000 rows to deep/all.csv.")
    rows = list(csv.reader(io.StringIO(data, newline="")))
    assert len(rows) == 12_001 and rows[0] == ["i", "money", "late", "said", "long", "none", "day"]
    assert rows[3] == ["2", "12345678901234567.89", "true", 'a,"b"\rc', "x" * 400, "", "2024-01-02"]
    assert "\r\n" not in data


async def test_a_query_that_fails_is_repaired_once(tmp_path: Path, folder: Path) -> None:
    async with analyst(tmp_path) as it:
        it.script(
            "```sql\nSELECT nothing FROM sales\n```",
            "```sql\nSELECT count(*) AS n FROM sales\n```",
            "There are 1,000.",
        )
        answer = await it.run(path="sales.csv", question="how many sales?")
        assert "There are 1,000." in answer and "Rests on all 1,000 rows of sales.csv." in answer
        assert "SELECT nothing FROM sales" in it.asked[1][1] and "nothing" in it.asked[1][1]
        it.script("```sql\nSELECT nothing FROM sales\n```", "```sql\nDROP TABLE sales\n```")
        with pytest.raises(ToolError, match="It is not one SELECT") as raised:
            await it.run(path="sales.csv", question="how many sales?")
    assert "SELECT nothing" in raised.value.message and "DROP TABLE" in raised.value.message


async def test_without_a_question_the_profile_is_told(tmp_path: Path, folder: Path) -> None:
    rows = "1970-01-01,A1,5\n2090-05-05,B2,6\n1850-01-01,C3,7\n2024-01-01,,8\n" * 30
    (folder / "odd.csv").write_text(f"when,code,value\n{rows}2024-01-01,A1,9000000\n")
    async with analyst(tmp_path) as it:
        told = await it.run(path="odd.csv")
    assert "30 dates lie in the future" in told and "30 dates lie before 1900" in told
    assert "30 dates look like placeholders" in told and "1 values are far from the others" in told
    assert "24.79% missing" in told


EXCEL = """
import openpyxl
book = openpyxl.Workbook()
book.active.title = "People"
for row in (["name", "n"], ["ann", 1], ["bob", "=B2+1"]):
    book.active.append(row)
report = book.create_sheet("Report")
for row in (["Annual report"], [], ["region", "amount"], ["north", 3], [], ["south", 4]):
    report.append(row)
book.save("book.xlsx")
"""


def _sqlite(path: Path) -> None:
    base = sqlite3.connect(path)
    base.execute('CREATE TABLE "order" (id INTEGER, price REAL)')
    base.executemany('INSERT INTO "order" VALUES (?, ?)', [(n, n * 1.5) for n in range(100)])
    base.commit()
    base.close()


MAKERS: dict[str, Callable[[Path], object]] = {
    "gb.csv": lambda path: path.write_bytes("名字,数量\n张三,1\n李四,2\n".encode("gb18030")),
    "utf16.csv": lambda path: path.write_bytes("名字,数量\n张三,1\n李四,2\n".encode("utf-16")),
    "bom.csv": lambda path: path.write_bytes("\ufeffname,n\na,1\nb,2\n".encode()),
    "tabs.tsv": lambda path: path.write_text("name\tn\na, b\t1\nc\t2\n"),
    "ragged.csv": lambda path: path.write_text("a,b\n1,2\n3\n4,5,6\n"),
    "rows.json": lambda path: path.write_text('[{"name": "a", "n": 1}, {"name": "b", "n": 2}]'),
    "rows.jsonl": lambda path: path.write_text('{"name": "a", "n": 1}\n{"name": "b", "n": 2}\n'),
    "base.db": _sqlite,
    "latin.csv": lambda path: path.write_bytes("Stadt;Größe\nKöln;3\nDüren;5\n".encode("latin-1")),
    "packed.csv.gz": lambda path: path.write_bytes(gzip.compress(b"a,b\n1,2\n")),
    "ends.csv": lambda path: path.write_bytes(b"a,b\r\n1,2\n3,4\r5,6\r\n"),
    "titled.csv": lambda path: path.write_text("Annual report\nmade today\n\nregion,n\nnorth,3\nsouth,4\n"),
    "broken.jsonl": lambda path: path.write_text('{"n": 1}\n' * 20 + "{broken\n" + '{"n": 2}\n' * 20),
    "nested.json": lambda path: path.write_text(
        json.dumps(
            {"meta": {"page": 1}, "shop": {"orders": [{"id": n, "to": {"city": "Rome"}} for n in range(9)]}}
        )
    ),
    "quoted.csv": lambda path: path.write_text("id,text\n" + '1,"one\ntwo, three"\n' * 600_000),
}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gb.csv", "in GB18030"),
        ("utf16.csv", "in UTF-16"),
        ("bom.csv", "  name VARCHAR, 2 values such as 'a', 'b'"),
        ("tabs.tsv", "2 values such as 'a, b', 'c'"),
        ("ragged.csv", "more fields than the header: column2"),
        ("rows.json", "table rows: rows.json, 2 rows"),
        ("rows.jsonl", "table rows: rows.jsonl, 2 rows"),
        ("book.xlsx", "book.xlsx:People, 2 rows (1 formulas have no value"),
        ("book.xlsx", "book.xlsx:Report, 2 rows (its table begins in row 3)"),
        ("latin.csv", "2 values such as 'Düren', 'Köln'"),
        ("packed.csv.gz", "table packed: packed.csv.gz, 1 rows"),
        ("ends.csv", "table ends: ends.csv, 3 rows"),
        ("titled.csv", "2 rows (its table begins below: Annual report; made today)"),
        ("broken.jsonl", "40 rows (1 lines cannot be read and are left out)"),
        ("nested.json", "table orders: nested.json:shop.orders, 9 rows"),
        ("quoted.csv", "table quoted: quoted.csv, 600,000 rows"),
        ("base.db", "table t_order: base.db:order, 100 rows"),
    ],
)
async def test_every_kind_of_file_is_read(tmp_path: Path, folder: Path, name: str, said: str) -> None:
    if name in MAKERS:
        MAKERS[name](folder / name)
    async with analyst(tmp_path) as it:
        if name == "book.xlsx":
            assert (await it.sandbox.run_python(EXCEL, timeout=30)).status == "ok"
        told = await it.run(path=name)
    assert said in told, told
    if name in ("gb.csv", "utf16.csv"):
        assert '"名字" VARCHAR, 2 values such as' in told and "张三" in told


@pytest.mark.parametrize(
    ("text", "total"),
    [
        ("n;amount\na;1.234,50\nb;-0,25\nc;n/a\n", 1234.25),
        ("n\tamount\na\t1 234,50\nb\t12,5\n", 1247.0),
        ('n,amount\na,"$1,200.50"\nb,$300.25\nc,\n', 1500.75),
        ("n,amount\na,12.5%\nb,30%\n", 42.5),
        ('n,amount\na,"1,234"\nb,"2,500"\n', 3734.0),
    ],
)
async def test_numbers_are_read_as_people_write_them(
    tmp_path: Path, folder: Path, text: str, total: float
) -> None:
    (folder / "x.csv").write_text(text)
    async with analyst(tmp_path) as it:
        it.script("```sql\nSELECT sum(amount) AS total FROM x\n```", "That is it.")
        answer = await it.run(path="x.csv", question="what is the total?")
    assert f"| {total:,.2f}".rstrip("0").rstrip(".") in answer
    assert "x.csv: amount is written with" in answer and "read as numbers." in answer


@pytest.mark.parametrize(
    "values", ["0170\n+49 170", "1,234\n2,500", "1 234\n2 345", "12,5\nmany", "12%\n13", "00,5\n1,5"]
)
async def test_what_may_be_no_number_stays_a_text(tmp_path: Path, folder: Path, values: str) -> None:
    rows = [f"{number};{value}" for number, value in enumerate(values.splitlines())]
    (folder / "x.csv").write_text("\n".join(["n;amount", *rows]) + "\n")
    async with analyst(tmp_path) as it:
        told = await it.run(path="x.csv")
    assert "amount VARCHAR" in told and "read as numbers" not in told, told


async def test_a_row_that_may_be_a_sum_of_others_is_named(tmp_path: Path, folder: Path) -> None:
    (folder / "x.csv").write_text("region,n\nnorth,3\nsouth,4\nTotal,7\n")
    async with analyst(tmp_path) as it:
        it.script("```sql\nSELECT sum(n) AS total FROM x\n```", "It is 14.")
        answer = await it.run(path="x.csv", question="what is the total?")
        assert "may be a sum" not in await it.run(path="sales.csv")
    assert "x.csv: 1 row whose region is 'Total' may be a sum of others." in answer
    assert "1 row whose region is 'Total' may be a sum of others" in it.asked[0][0], "the model knows, too"


@pytest.mark.parametrize(
    ("query", "rests"),
    [
        (
            "WITH s AS (SELECT * FROM sales WHERE amount > 400) SELECT count(*) FROM s",
            "some of the 1,000 rows",
        ),
        ("SELECT count(*) FROM (SELECT * FROM sales LIMIT 10)", "some of the 1,000 rows"),
        ("SELECT count(*) FROM (SELECT * FROM sales USING SAMPLE 10)", "some of the 1,000 rows"),
        ("SELECT region, count(*) FROM (SELECT region FROM sales) GROUP BY 1 LIMIT 2", "all 1,000 rows"),
        ("SELECT region FROM sales ORDER BY 1 LIMIT 3", "all 1,000 rows"),
        ("SELECT count(*) FROM sales WHERE region = 'east'", "250 of 1,000 rows"),
    ],
)
async def test_an_answer_claims_no_rows_that_its_query_leaves_out(
    tmp_path: Path, folder: Path, query: str, rests: str
) -> None:
    async with analyst(tmp_path) as it:
        it.script(f"```sql\n{query}\n```", "So it is.")
        answer = await it.run(path="sales.csv", question="how many?")
    assert f"Rests on {rests} of sales.csv" in answer
    assert ("The query says which." in answer) == rests.startswith("some")


async def test_dates_that_may_be_read_two_ways_are_named(tmp_path: Path, folder: Path) -> None:
    (folder / "x.csv").write_text("day,n\n01/02/2024,1\n03/04/2024,2\n")
    (folder / "y.csv").write_text("day,n\n01/02/2024,1\n13/04/2024,2\n")
    (folder / "z.csv").write_text("day,n\n2024-01-02,1\n2024-03-04,2\n")
    async with analyst(tmp_path) as it:
        assert "dates of day may begin with day or month, and are read day first" in await it.run(
            path="x.csv"
        )
        for name in ("y.csv", "z.csv"):
            assert "may begin" not in await it.run(path=name)


async def test_columns_of_any_name_are_looked_at(tmp_path: Path, folder: Path) -> None:
    (folder / "x.tsv").write_text("a\tb\tlow\tvalue\n" + "x\t1\t5\t3\n" * 50 + "y\t2\t900000\t4\n")
    names = [f"c{number}" for number in range(500)]
    (folder / "wide.csv").write_text("\n".join([",".join(names), ",".join("1" * 500)]) + "\n")
    async with analyst(tmp_path) as it:
        assert "a VARCHAR, 2 values" in await it.run(path="x.tsv")
        told = await it.run(path="wide.csv")
    assert "440 more columns are not shown: c60, c61" in told and "c499)" in told


async def test_what_cannot_be_read_of_a_folder_is_left_out_and_named(tmp_path: Path, folder: Path) -> None:
    (folder / "none.csv").touch()
    (folder / "broken.xlsx").write_bytes(b"nothing")
    base = sqlite3.connect(folder / "base.db")
    base.executescript(
        "CREATE TABLE old (x); CREATE VIEW gone AS SELECT nothere FROM old; CREATE TABLE t (n)"
    )
    base.execute("INSERT INTO t VALUES (1)")
    base.commit()
    base.close()
    async with analyst(tmp_path) as it:
        it.script("```sql\nSELECT count(*) AS n FROM sales\n```", "There are 1,000.")
        answer = await it.run(path=".", question="how many sales?")
    assert "There are 1,000." in answer and "Left out: none.csv is empty." in answer
    assert "Left out: broken.xlsx is no Excel file, whatever its name says." in answer
    assert "Left out: The view gone of base.db cannot be read: no such column: nothere." in answer


async def test_a_database_is_read_with_what_was_written_last(tmp_path: Path, folder: Path) -> None:
    base = sqlite3.connect(folder / "live.db")
    base.execute("PRAGMA journal_mode=WAL")
    base.execute("CREATE TABLE t (n INTEGER, mixed)")
    base.execute("INSERT INTO t VALUES (9007199254740993, NULL)")
    base.commit()
    base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    base.executemany("INSERT INTO t VALUES (?, ?)", [(None, n if n < 60_000 else "z") for n in range(60_001)])
    base.commit()
    async with analyst(tmp_path) as it:
        it.script("```sql\nSELECT max(n) AS top, count(mixed) AS held FROM t\n```", "That is it.")
        answer = await it.run(path="live.db", question="what is there?")
        listed = {entry.path for entry in (await it.sandbox.list(".")).entries}
        assert listed == {path.name for path in folder.iterdir()}
    base.close()
    assert "| 9,007,199,254,740,993 | 60,001 |" in answer and "all 60,002 rows" in answer


async def test_a_folder_is_one_table_for_each_file(tmp_path: Path, folder: Path) -> None:
    (folder / "more").mkdir()
    (folder / "more" / "regions.csv").write_text("region,manager\nnorth,ann\nsouth,bob\n")
    sql = "SELECT manager, count(*) AS n FROM sales JOIN regions USING (region) GROUP BY 1 ORDER BY 1"
    async with analyst(tmp_path) as it:
        it.script(f"```sql\n{sql}\n```", "Ann has 250 sales, and so has Bob.")
        answer = await it.run(path=".", question="how many sales has each manager?")
    assert "Ann has 250 sales" in answer
    assert "Rests on all 2 rows of more/regions.csv; all 1,000 rows of sales.csv." in answer


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\n", "has a header at most"),
        (b"a,b\n", "has a header at most"),
        (b"%PDF-1.7", "is no table"),
        (b"\x89PNG\r\n", "is no table"),
        (b"a,b\0\n1,2\n", "is no text"),
        (b"a,b\n1,\xff\0\n", "is no text"),
        (b"SQLite format 3\0garbage", "cannot be read as a SQLite database"),
        (b"\xd0\xcf\x11\xe0", "Excel's old format"),
    ],
)
async def test_what_is_no_data_is_named(tmp_path: Path, folder: Path, content: bytes, said: str) -> None:
    (folder / "x.csv").write_bytes(content)
    async with analyst(tmp_path) as it:
        with pytest.raises(ToolError, match=said):
            await it.run(path="x.csv", question="what?")
        with pytest.raises(ToolError, match="There is no file or folder nowhere"):
            await it.run(path="nowhere")


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM 'salaries.csv'",
        "SELECT * FROM read_csv('./more/../salaries.csv')",
        "SELECT content FROM read_text('salaries.csv')",
        "SELECT * FROM glob('*')",
        "SELECT * FROM query_table('salaries.csv')",
        "SELECT * FROM read_text('/proc/self/environ')",
    ],
)
async def test_a_query_reaches_no_file_but_those_that_the_call_names(
    tmp_path: Path, folder: Path, query: str
) -> None:
    (folder / "salaries.csv").write_text("name,salary\nann,81234\n")
    async with analyst(tmp_path) as it:
        it.script(f"```sql\n{query}\n```", f"```sql\nSELECT * FROM ({query})\n```", "It is 81,234.")
        with pytest.raises(ToolError, match="No query answers that") as refused:
            await it.run(path="sales.csv", question="what does ann earn?")
    assert "81234" not in str(refused.value) and len(it.asked) == 2


async def test_what_cannot_be_read_is_said_of_the_file_that_it_is_in(tmp_path: Path, folder: Path) -> None:
    (folder / "at 12:30.csv").write_text("a,b\n" + "1,2\n" * 30_000 + "x,y\n" + "3,4\n" * 10)
    async with analyst(tmp_path) as it:
        told = await it.run(path=".")
    (lines,) = [line for line in told.splitlines() if line.startswith("table at_12_30")]
    assert "at 12:30.csv" in lines and "cannot be read" in lines
    (others,) = [line for line in told.splitlines() if line.startswith("table sales")]
    assert "cannot be read" not in others

"""Questions about data: it is profiled, a query runs in the sandbox, and the answer says what it rests on."""

from __future__ import annotations

import posixpath
import re
from pathlib import PurePosixPath
from typing import Any

from llmasos.errors import ToolError
from llmasos.sandbox import name_artifacts
from llmasos.tools._numbers import made_up
from llmasos.tools._saving import saved_as
from llmasos.tools._shipping import program, told_inside
from llmasos.tools.analysis.notebook import notebook_of
from llmasos.tools.analysis.page import page_of
from llmasos.tools.analysis.wording import blocks_of, profile_lines, rests_line, table_of
from llmasos.tools.kernel import Capabilities, KernelContext, kernel_tool

_QUERY_TOKENS, _ANSWER_TOKENS = 500, 300
_MOST_TOLD = 12_000
_SAVED_AS = (".csv", ".ipynb", ".md")
_FENCE = re.compile(r"```(?:sql)?\s*\n?(.*?)```", re.DOTALL | re.IGNORECASE)
_ASKED = """\
You write DuckDB SQL. The data:

{profile}

Write one SELECT that answers the question. Who sold, cost or made most is told by sums, unless an average \
is asked for. Use only the tables and columns above, as they are written. Give results names that say what \
they are, round averages to two digits, and order them so that they can be read. Answer with the query in \
```sql and nothing else."""
_REPAIR = """\
{question}

This query failed:
```sql
{sql}
```
{error}

Write it so that it runs."""
_TOLD = """\
Answer the question from this result of a query, in one or two sentences and in the question's language. \
Give the numbers as they are. Say nothing that is not in it, and nothing of SQL.

{table}"""


@kernel_tool(
    capabilities=Capabilities(
        reads=True, writes=True, asks_model=True, targets=("save_as",), sources={"*": "file"}
    ),
    examples=[
        (
            "which region sold most in sales.csv?",
            'analyze_data(path="sales.csv", question="which region sold most?")',
        ),
        ("data.xlsx 里每个月的平均温度是多少", 'analyze_data(path="data.xlsx", question="每个月的平均温度")'),
        ("what is in survey.parquet?", 'analyze_data(path="survey.parquet")'),
    ],
)
async def analyze_data(ctx: KernelContext, path: str, question: str = "", save_as: str | None = None) -> str:
    """Answers a question about data (CSV, Excel, JSON, Parquet, SQLite), or says what is in it.

    Args:
        path: The file, or a folder of files, each of which is a table.
        question: What is to be found out; nothing for a profile of the data.
        save_as: A file to save to: .csv for the table, .md for the answer, .ipynb for the whole analysis.
    """
    asked, file = saved_as(question) if not save_as else (question, None)
    if file:
        # The policy decides on files by the arguments that name them.
        return str(await ctx.hand_on("analyze_data", {"path": path, "question": asked, "save_as": file}))
    kind = _kind(save_as) if save_as else ""
    ctx.progress("Looking at the data", 0, 3)
    profile = await _inside(ctx, "look", f"{path!r}, {_memory(ctx)}, tell")
    data = {posixpath.normpath(table["path"]) for table in profile["tables"]}
    if save_as and posixpath.normpath(save_as) in data:
        raise ToolError(f"{save_as} is the data that is asked about.", hint="Save to another file.")
    left_out = [f"Left out: {one}" for one in profile["left_out"]]
    told = "\n".join([*(line for table in profile["tables"] for line in profile_lines(table)), *left_out])
    if not question.strip():
        return await _saved(ctx, told[:_MOST_TOLD], save_as, kind)
    ctx.progress("Writing a query", 1, 3)
    table = save_as if save_as and kind == ".csv" else ""
    instructions = _ASKED.format(profile=told[:_MOST_TOLD])
    sql = _query(await ctx.ask(instructions, question, max_tokens=_QUERY_TOKENS))
    ctx.progress("Running it", 2, 3)
    try:
        result = await _answer(ctx, path, sql, question, table)
    except ToolError as error:
        asked = _REPAIR.format(question=question, sql=sql, error=error.message[:1000])
        first, sql = sql, _query(await ctx.ask(instructions, asked, max_tokens=_QUERY_TOKENS))
        try:
            result = await _answer(ctx, path, sql, question, table)
        except ToolError as again:
            raise ToolError(
                f"No query answers that. The first was\n{first}\nand failed: {error.message}\nThe second was"
                f"\n{sql}\nand failed: {again.message}",
                hint="Name the columns that are meant, or ask in smaller steps.",
            ) from None
    table = table_of(result)
    sentence = await _sentence(ctx, question, table)
    paths = {one["table"]: one["path"] for one in profile["tables"]}
    rests = rests_line(result["rests"], paths)
    page = page_of(question, sentence, result, sql, rests).encode()
    await ctx.keep(name_artifacts([("analysis.html", page)], 1))
    notes = [f"{one['path']}: {note}." for one in profile["tables"] for note in one["notes"]]
    blocks = blocks_of(result["chart"]) if result["chart"] else ""
    parts = (sentence, table, blocks, rests, f"```sql\n{sql}\n```", *notes, *left_out)
    text = "\n\n".join(part for part in parts if part)
    notebook = (
        notebook_of(profile["tables"], question, sentence, result, sql, rests) if kind == ".ipynb" else ""
    )
    text = await _saved(ctx, text, save_as, kind, rows=result["saved"], notebook=notebook)
    ctx.output("stdout", f"{text}\n")
    return text


def _kind(save_as: str) -> str:
    """Return the ending of a file to save to, which says what is saved.

    Raises:
        ToolError: Nothing is saved so.
    """
    kind = PurePosixPath(save_as).suffix.lower()
    if kind not in _SAVED_AS:
        raise ToolError(
            f"An analysis is not saved as {kind or 'a file without an ending'}.",
            hint="Name a .csv file for the table, .md for the answer, or .ipynb for the whole analysis.",
        )
    return kind


async def _saved(
    ctx: KernelContext, text: str, save_as: str | None, kind: str, *, rows: int = -1, notebook: str = ""
) -> str:
    """Save what the file's ending says, and return the text with a line on it."""
    if not save_as:
        return text
    if kind == ".csv" and rows >= 0:
        return f"{text}\n\nSaved all {rows:,} rows to {save_as}."
    if kind == ".md":
        await ctx.sandbox.write(save_as, f"{text}\n".encode())
        return f"{text}\n\nSaved this to {save_as}."
    if not notebook:
        raise ToolError(f"Without a question there is nothing to save to {save_as}.", hint="Ask something.")
    await ctx.sandbox.write(save_as, notebook.encode())
    return f"{text}\n\nSaved the analysis to {save_as}."


async def _answer(ctx: KernelContext, path: str, sql: str, question: str, table: str) -> dict[str, Any]:
    if not sql:
        raise ToolError("The model wrote no query.")
    arguments = f"{path!r}, {sql!r}, {question!r}, {_memory(ctx)}, tell, keep, {table!r}"
    return await _inside(ctx, "answer", arguments)


async def _inside(ctx: KernelContext, function: str, arguments: str) -> dict[str, Any]:
    """Do one of the things that are done inside, and return what it tells.

    Raises:
        ToolError: The data cannot be used, or a limit was broken.
    """
    told, outcome = await told_inside(
        ctx.sandbox,
        program("llmasos.tools.analysis.inside", function, arguments),
        seconds=ctx.seconds,
        smaller="Look at a part of the data, or raise the sandbox's limits.",
    )
    if outcome.artifacts:
        await ctx.keep(outcome.artifacts)
    return told[0]


async def _sentence(ctx: KernelContext, question: str, table: str) -> str:
    """Return the answer in words; nothing when its numbers are not those of the result."""
    said = (await ctx.ask(_TOLD.format(table=table), question, max_tokens=_ANSWER_TOKENS)).strip()
    return "" if made_up(said, f"{table}\n{question}") else said


def _query(text: str) -> str:
    """Return the query that a model wrote."""
    found = _FENCE.search(text)
    sql = found[1] if found else text.partition("```sql")[2] or text
    return sql.strip().rstrip(";").strip()


def _memory(ctx: KernelContext) -> int:
    return ctx.settings.sandbox_limits.memory_mb

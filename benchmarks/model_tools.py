"""The tools that the benchmark of calls offers to the model, with their examples."""

from __future__ import annotations

from typing import Any

from pydantic_ai.tools import ToolDefinition


def tools() -> list[ToolDefinition]:
    """Return the definitions of the built-in tools, as the benchmark needs them."""
    return [
        _tool(
            "run_python",
            "runs a script that counts, compares or computes; it can call the other tools as functions",
            {"code": _STRING},
            required=("code",),
            examples=(
                (
                    "what's the median of column price in sales.csv?",
                    "run_python\n```python\nimport csv\nfrom statistics import median\n\n"
                    'with open("sales.csv") as file:\n'
                    '    print(median(float(row["price"]) for row in csv.DictReader(file)))\n```',
                ),
                (
                    "把 letters 目录里的每个 txt 文件翻译成德文，存到 german 目录",
                    "run_python\n```python\nfrom pathlib import Path\n\n"
                    'for path in sorted(Path("letters").glob("*.txt")):\n'
                    '    text = translate(text=path.read_text(), target_language="German")\n'
                    '    write_file(f"german/{path.name}", text)\n    print(path.name)\n```',
                ),
                (
                    "which names are in old.txt but not in new.txt?",
                    "run_python\n```python\nfrom pathlib import Path\n\n"
                    'old = Path("old.txt").read_text().splitlines()\n'
                    'new = Path("new.txt").read_text().splitlines()\n'
                    "print([line for line in old if line not in new])\n```",
                ),
                ("17的阶乘是多少", "run_python\n```python\nimport math\n\nprint(math.factorial(17))\n```"),
            ),
        ),
        _tool(
            "run_shell",
            "runs a program or shell command: git, packages, processes, tests",
            {"command": _STRING, "timeout": {"type": "number", "default": 60}},
            required=("command",),
            examples=(
                ("run the tests", 'run_shell(command="pytest -q")'),
                ("看看磁盘还剩多少空间", 'run_shell(command="df -h .")'),
                ("git log of the last 3 commits", 'run_shell(command="git log -3")'),
            ),
        ),
        _tool(
            "read_file",
            "shows what is in a text file",
            {
                "path": _STRING,
                "offset": {"type": "integer", "default": 0},
                "limit": {"type": "integer", "default": 400},
            },
            required=("path",),
            examples=(
                ("what does setup.cfg say?", 'read_file(path="setup.cfg")'),
                ("总结一下 report.txt", 'read_file(path="report.txt")'),
            ),
        ),
        _tool(
            "write_file",
            "makes or replaces a file",
            {"path": _STRING, "content": _STRING},
            required=("path", "content"),
            block="content",
            examples=(
                (
                    "create hello.sh which prints the date",
                    'write_file(path="hello.sh")\n```\n#!/bin/sh\ndate\n```',
                ),
                (
                    "写一个 shopping.md，列出牛奶和鸡蛋",
                    'write_file(path="shopping.md")\n```\n- 牛奶\n- 鸡蛋\n```',
                ),
            ),
        ),
        _tool(
            "edit_file",
            "replaces a piece of text in a file",
            {"path": _STRING, "old": _STRING, "new": _STRING},
            required=("path", "old", "new"),
            examples=(
                (
                    "in app.toml change debug = true to debug = false",
                    'edit_file(path="app.toml", old="debug = true", new="debug = false")',
                ),
                ("把 intro.md 里的“张三”改成“李四”", 'edit_file(path="intro.md", old="张三", new="李四")'),
            ),
        ),
        _tool(
            "list_files",
            "lists files and folders",
            {"path": {"type": "string", "default": "."}, "pattern": {"type": "string", "default": "*"}},
            examples=(
                ("what's in here?", "list_files()"),
                ("docs 目录下有哪些 pdf", 'list_files(path="docs", pattern="*.pdf")'),
            ),
        ),
        _tool(
            "search_files",
            "finds text inside files, like grep",
            {
                "pattern": _STRING,
                "path": {"type": "string", "default": "."},
                "glob": {"type": "string", "default": "*"},
            },
            required=("pattern",),
            examples=(
                ("where do we use parse_args?", 'search_files(pattern="parse_args")'),
                ("在所有 md 文件里找“预算”", 'search_files(pattern="预算", glob="*.md")'),
            ),
        ),
        _tool(
            "translate",
            "translates a text, or a whole file (path), and can save the translation (save_as)",
            {
                "target_language": _STRING,
                "text": _OPTIONAL,
                "path": _OPTIONAL,
                "save_as": _OPTIONAL,
            },
            required=("target_language",),
            examples=(
                (
                    "how do you say good night in Spanish",
                    'translate(target_language="Spanish", text="good night")',
                ),
                (
                    "把 manual.txt 翻译成英文，保存为 manual.en.txt",
                    'translate(target_language="English", path="manual.txt", save_as="manual.en.txt")',
                ),
                ("translate poem.txt to Chinese", 'translate(target_language="Chinese", path="poem.txt")'),
            ),
        ),
    ]


_STRING = {"type": "string"}
_OPTIONAL = {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}


def _tool(
    name: str,
    description: str,
    properties: dict[str, Any],
    *,
    required: tuple[str, ...] = (),
    block: str = "",
    examples: tuple[tuple[str, str], ...] = (),
) -> ToolDefinition:
    metadata: dict[str, Any] = {
        "examples": [{"request": request, "call": call} for request, call in examples]
    }
    if block:
        metadata["block"] = block
    return ToolDefinition(
        name=name,
        description=description,
        parameters_json_schema={"type": "object", "properties": properties, "required": list(required)},
        metadata=metadata,
    )

"""What is the same in every chat with a small model: how it is to reply, its tools, and examples."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydantic_ai.tools import ToolDefinition

from llmasos.models.calls.conversation import NOTED
from llmasos.models.calls.reminders import language_of, result_text
from llmasos.models.calls.syntax import ANSWER, CallForm
from llmasos.models.engines.port import Turn
from llmasos.models.tokens import most_tokens

_INTRO = """\
You work in the person's folder by calling tools. Every reply is exactly one of:
- one tool call, written as shown below
- `Answer: ` and the text for the person

Tools:
{tools}

{rules}"""

_RULES = (
    "Answer in the language of the person's request, briefly, and only from the results you were given.",
    "Questions that need no file and no tool are answered directly.",
)
_SCRIPT_RULES = (
    "Prefer one run_python script for whatever counts, compares, computes or takes several steps; "
    "print what you need. Folders hold folders: look through all with rglob.",
    "write_file is only for text that needs no looking up; what comes from files is written by a script.",
)
LOOK_BELOW = 'Look through all folders: Path(".").rglob("*")'
"""What small models are told with the names of the files."""

_NOTED = 2  # examples
_FILE = re.compile(r"[\w-]+\.[a-z]{2,5}\b")
# Without these, a small model searches or computes with what it knows best.
_MADE_FOR = {
    "ask_documents": "What a document says about something is asked with ask_documents, not searched for.",
    "analyze_data": "Questions about data in a CSV, Excel or JSON file are for analyze_data, not a script.",
}
_ADDED_RULE = "Where one of {names} does what is asked, call that tool itself, not a script."


@dataclass(frozen=True)
class Example:
    """A general conversation shown to the model, when all of its tools are there and those others are not."""

    tools: frozenset[str]
    turns: tuple[str, ...]
    without: frozenset[str] = frozenset()
    last: bool = False


def _example(
    *turns: str, tools: tuple[str, ...] = (), without: tuple[str, ...] = (), last: bool = False
) -> Example:
    return Example(frozenset(tools), turns, frozenset(without), last)


def _examples() -> tuple[Example, ...]:
    lines = "How many lines does data.txt have?"
    todo = "todo.md 里还有几项没完成？"
    wrong = "look at check.py and fix the wrong year that it prints"
    missing = "Show me ideas.md"
    total = "各部门的工资总额是多少？数据在 staff.csv"
    return (
        _example(
            lines,
            'run_python\n```python\nwith open("data.txt") as file:\n    print(len(file.readlines()))\n```',
            result_text("run_python", "128", lines),
            f"{ANSWER}data.txt has 128 lines.",
            tools=("run_python",),
        ),
        _example(
            todo,
            'run_python\n```python\nwith open("todo.md") as file:\n'
            '    print(sum(line.strip().startswith("- [ ]") for line in file))\n```',
            result_text("run_python", "3", todo),
            f"{ANSWER}todo.md 里还有 3 项没有完成。",
            tools=("run_python",),
        ),
        _example(
            total,
            "run_python\n```python\nimport csv\nfrom collections import defaultdict\n\n"
            "totals = defaultdict(float)\n"
            'with open("staff.csv") as file:\n    for row in csv.DictReader(file):\n'
            '        totals[row["department"]] += float(row["salary"])\nprint(dict(totals))\n```',
            result_text("run_python", "{'销售': 52000.0, '研发': 91000.0}", total),
            f"{ANSWER}销售部的工资总额是 52000，研发部是 91000。",
            tools=("run_python",),
            without=("analyze_data",),
        ),
        _example(
            total,
            'analyze_data(path="staff.csv", question="各部门的工资总额")',
            result_text("analyze_data", "销售部 52,000，研发部 91,000。", total),
            f"{ANSWER}销售部的工资总额是 52000，研发部是 91000。",
            tools=("analyze_data",),
        ),
        _example(
            wrong,
            'read_file(path="check.py")',
            result_text("read_file", "import datetime\nprint(datetime.date.today().month)", wrong, more=True),
            'edit_file(path="check.py", old="today().month", new="today().year")',
            result_text("edit_file", "Edited check.py at line 2.", wrong),
            f"{ANSWER}check.py printed the month; it prints the year now.",
            tools=("read_file", "edit_file"),
        ),
        _example(
            missing,
            'read_file(path="ideas.md")',
            result_text("read_file", "error: there is no file ideas.md", missing),
            f"{ANSWER}There is no file ideas.md in this folder.",
            tools=("read_file",),
        ),
        _example(
            "which of poem.txt and song.txt has the longer lines?",
            'run_python\n```python\nfor name in ("poem.txt", "song.txt"):\n    with open(name) as file:\n'
            "        print(name, max(len(line) for line in file))\n```",
            tools=("run_python",),
            last=True,
        ),
        _example(
            "write oldest.md with a table of the three oldest files",
            "run_python\n```python\nfrom datetime import datetime\nfrom pathlib import Path\n\n"
            'files = [p for p in Path(".").rglob("*") if p.is_file() and ".git" not in p.parts]\n'
            "oldest = sorted(files, key=lambda p: p.stat().st_mtime)[:3]\n"
            'lines = ["| file | modified |", "| --- | --- |"]\n'
            'lines += [f"| {p} | {datetime.fromtimestamp(p.stat().st_mtime):%Y-%m-%d} |" for p in oldest]\n'
            'Path("oldest.md").write_text("\\n".join(lines) + "\\n")\nprint("\\n".join(lines))\n```',
            tools=("run_python",),
            last=True,
        ),
        _example(
            "is 7**15 larger than 10**13?",
            "run_python\n```python\nprint(7**15, 7**15 > 10**13)\n```",
            tools=("run_python",),
            last=True,
        ),
        _example(
            "give me a short summary of diary.txt",
            'read_file(path="diary.txt")',
            tools=("read_file",),
            last=True,
        ),
        _example("谁发明了电话？", f"{ANSWER}一般认为是亚历山大·格拉汉姆·贝尔。", last=True),
        _example("Who painted the Mona Lisa?", f"{ANSWER}Leonardo da Vinci.", last=True),
        _example("你好", f"{ANSWER}你好！需要我做什么？", last=True),
        _example(
            "What is a checksum?",
            f"{ANSWER}A short value computed from data, used to notice changes in it.",
            last=True,
        ),
    )


def offered(tools: Sequence[ToolDefinition]) -> list[ToolDefinition]:
    """Return the tools that a small model is told of.

    Each tool more makes it choose worse, and drift in its language; those it can do without say so in
    their metadata (`{"advanced": True}`).
    """
    return [tool for tool in tools if not (tool.metadata or {}).get("advanced")]


@dataclass(frozen=True)
class _Shown:
    """A piece of the examples, which stays together.

    Args:
        turns: What is said in it.
        rank: What has a higher one is left out first; 0 stays.
    """

    turns: tuple[Turn, ...]
    rank: int


def prefix_of(
    tools: Sequence[ToolDefinition],
    forms: dict[str, CallForm],
    languages: Sequence[str] = ("en", "zh"),
    most: float = math.inf,
) -> tuple[Turn, ...]:
    """Return the system text and the examples: the same bytes for the same arguments.

    Examples of a tool are taken from its metadata: `{"examples": [{"request": ..., "call": ...}]}`. Those of
    tools that others made (`{"added": True}`) come last, where they weigh most: a small model would rather
    write the script that it knows.

    Args:
        tools: What the model may call.
        forms: How each is written.
        languages: Languages of the examples, as ISO 639-1 codes.
        most: Tokens that it may take; each tool's further examples, and general ones, are left out for that.
    """
    added = [tool for tool in tools if (tool.metadata or {}).get("added")]
    made_for = [tool for tool in tools if tool.name in _MADE_FOR]
    rules = [*_RULES]
    if "run_python" in forms:
        rules += (*_SCRIPT_RULES, *(rule for name, rule in _MADE_FOR.items() if name in forms))
        if added:
            rules.append(_ADDED_RULE.format(names=", ".join(tool.name for tool in added)))
    system = _INTRO.format(
        tools="\n".join(form.signature() for form in forms.values()),
        rules="\n".join(f"- {rule}" for rule in rules),
    )
    general = [
        each
        for each in _examples()
        if each.tools <= forms.keys()
        and not each.without & forms.keys()
        and language_of(each.turns[0]) in languages
    ]
    groups = [
        _calls([tool for tool in tools if tool not in made_for and tool not in added], languages),
        [_Shown(_chat(each.turns), 1) for each in general if not each.last],
        _calls(made_for, languages),
        # What none of them is for comes after them: else a small model would call them for everything.
        [_Shown(_chat(each.turns), 0 if each.tools else 1) for each in general if each.last],
        _calls(added, languages),
    ]
    while True:
        turns = (Turn(role="system", content=system), *_in_order(*groups))
        rank = max((each.rank for group in groups for each in group), default=0)
        if not rank or sum(most_tokens(turn.content) for turn in turns) <= most:
            return turns
        group = next(group for group in groups if any(each.rank == rank for each in group))
        group.remove(next(each for each in reversed(group) if each.rank == rank))


def _in_order(
    tools: Sequence[_Shown],
    general: Sequence[_Shown],
    made_for: Sequence[_Shown],
    others: Sequence[_Shown],
    added: Sequence[_Shown],
) -> Iterator[Turn]:
    yield from _turns([*tools, *general, *made_for[:-_NOTED]])
    yield from _noted(_turns(made_for[-_NOTED:]))
    yield from _noted(_turns(others)) if made_for else _turns(others)
    yield from _noted(_turns(added))


def _turns(shown: Sequence[_Shown]) -> list[Turn]:
    return [turn for each in shown for turn in each.turns]


def _chat(texts: Sequence[str]) -> tuple[Turn, ...]:
    return tuple(
        Turn(role="assistant" if number % 2 else "user", content=text) for number, text in enumerate(texts)
    )


def _noted(calls: Sequence[Turn]) -> list[Turn]:
    """Return calls with notes before them, as the first request of a chat has them."""
    files = dict.fromkeys(name for turn in calls for name in _FILE.findall(turn.content))
    notes = NOTED.format(notes=f"Files: {', '.join(files) or 'notes.txt'}\n{LOOK_BELOW}", request="")
    return [
        turn.model_copy(update={"content": f"{notes}{turn.content}"}) if turn.role == "user" else turn
        for turn in calls
    ]


def _calls(tools: Sequence[ToolDefinition], languages: Sequence[str]) -> list[_Shown]:
    """Return the tools' own examples: requests, each with a call; the first of each tool stays."""
    shown: list[_Shown] = []
    for tool in tools:
        examples = (tool.metadata or {}).get("examples", ())
        told = [one for one in examples if language_of(str(one["request"])) in languages]
        shown += (
            _Shown(_chat((str(one["request"]), str(one["call"]))), rank) for rank, one in enumerate(told)
        )
    return shown

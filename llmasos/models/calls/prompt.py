"""The chat that a small model is shown: tools, examples, and the conversation within the context."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, UserPromptPart
from pydantic_ai.tools import ToolDefinition

from llmasos.models.calls.syntax import ANSWER, CallForm
from llmasos.models.engines.port import ContextExceeded, Turn

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

_KANA = re.compile(r"[\u3040-\u30ff]")
_CJK = re.compile(r"[\u3400-\u9fff]")
_ASKS_FOR_FACTS = re.compile(
    r"\b(how (many|much|large|long|big|old)|(larg|small|bigg|long|short|old|new|high|low|few|earli|lat)est"
    r"|most|least|total|average|mean|median|sum|count|number of|each|every|all|top|table|list|names?)\b"
    r"|多少|几|最|总|平均|统计|每|所有|全部|哪个|哪些|列出|列表|表格",
    re.IGNORECASE,
)
_SPEAKS_OF_FILES = re.compile(
    r"\b(files?|folders?|director(y|ies)|repo(sitory)?|here)\b|\b[\w-]+\.[A-Za-z]\w{0,4}\b|文件|目录|这里",
    re.IGNORECASE,
)
_MARKER = "\n[... {count} characters left out ...]\n"
# Results are cut to a share of the context before whole turns are given up.
_RESULT_SHARES = (4, 8, 16, 32)
_TURN_OVERHEAD = 6


@dataclass(frozen=True)
class Example:
    """A general conversation shown to the model; used when all of its tools are there."""

    tools: frozenset[str]
    turns: tuple[str, ...]


def _example(*turns: str, tools: tuple[str, ...] = ()) -> Example:
    return Example(frozenset(tools), turns)


def _result(tool: str, text: str, request: str) -> str:
    """Return the turn that shows a tool's result, with a word on what language to answer in."""
    return f"[result of {tool}]\n{text}\n[{_language_note(request)}]"


def _language_note(request: str) -> str:
    # Small models drift into the language of the result, or into the one they know best.
    if _KANA.search(request):
        return "日本語で答えてください。"
    if _CJK.search(request):
        return "请用中文回答。"
    return "Answer in the language of the request, not in Chinese."


def _examples() -> tuple[Example, ...]:
    lines = "How many lines does data.txt have?"
    todo = "todo.md 里还有几项没完成？"
    missing = "Show me ideas.md"
    total = "各部门的工资总额是多少？数据在 staff.csv"
    return (
        _example(
            lines,
            'run_python\n```python\nwith open("data.txt") as file:\n    print(len(file.readlines()))\n```',
            _result("run_python", "128", lines),
            f"{ANSWER}data.txt has 128 lines.",
            tools=("run_python",),
        ),
        _example(
            todo,
            'run_python\n```python\nwith open("todo.md") as file:\n'
            '    print(sum(line.strip().startswith("- [ ]") for line in file))\n```',
            _result("run_python", "3", todo),
            f"{ANSWER}todo.md 里还有 3 项没有完成。",
            tools=("run_python",),
        ),
        _example(
            total,
            "run_python\n```python\nimport csv\nfrom collections import defaultdict\n\n"
            "totals = defaultdict(float)\n"
            'with open("staff.csv") as file:\n    for row in csv.DictReader(file):\n'
            '        totals[row["department"]] += float(row["salary"])\nprint(dict(totals))\n```',
            _result("run_python", "{'销售': 52000.0, '研发': 91000.0}", total),
            f"{ANSWER}销售部的工资总额是 52000，研发部是 91000。",
            tools=("run_python",),
        ),
        _example(
            "check.py prints the wrong year, fix it",
            'read_file(path="check.py")',
            _result("read_file", "import datetime\nprint(datetime.date.today().month)", "check.py"),
            'edit_file(path="check.py", old="today().month", new="today().year")',
            _result("edit_file", "Edited check.py at line 2.", "check.py"),
            f"{ANSWER}check.py printed the month; it prints the year now.",
            tools=("read_file", "edit_file"),
        ),
        _example(
            missing,
            'read_file(path="ideas.md")',
            _result("read_file", "error: there is no file ideas.md", missing),
            f"{ANSWER}There is no file ideas.md in this folder.",
            tools=("read_file",),
        ),
        _example("你好", f"{ANSWER}你好！需要我做什么？"),
        _example(
            "What is a checksum?", f"{ANSWER}A short value computed from data, used to notice changes in it."
        ),
    )


def first_calls(items: Sequence[Item], tools: Sequence[ToolDefinition]) -> frozenset[str] | None:
    """Return the tools of which one has to be called now, or None when the model is free.

    A small model otherwise answers from its imagination, or writes it into a file. So a request that
    speaks of files begins with a call, and one that asks for facts about them with a call that looks:
    those tools say so in their metadata (`{"looks": True}`).
    """
    if not items or items[-1].kind != "request" or not _SPEAKS_OF_FILES.search(items[-1].text):
        return None
    looking = frozenset(tool.name for tool in tools if (tool.metadata or {}).get("looks"))
    if looking and _ASKS_FOR_FACTS.search(items[-1].text):
        return looking
    return frozenset(tool.name for tool in tools)


def offered(tools: Sequence[ToolDefinition]) -> list[ToolDefinition]:
    """Return the tools that a small model is told of.

    Each tool more makes it choose worse, and drift in its language; those it can do without say so in
    their metadata (`{"advanced": True}`).
    """
    return [tool for tool in tools if not (tool.metadata or {}).get("advanced")]


def forms_of(tools: Sequence[ToolDefinition]) -> dict[str, CallForm]:
    """Return the call form of every tool by its name, in the order given."""
    return {tool.name: CallForm.of(tool) for tool in tools}


def prefix_of(tools: Sequence[ToolDefinition], forms: dict[str, CallForm]) -> tuple[Turn, ...]:
    """Return the system text and the examples: the same bytes for the same tools.

    Examples of a tool are taken from its metadata: `{"examples": [{"request": ..., "call": ...}]}`.
    """
    rules = [*_RULES, *(_SCRIPT_RULES if "run_python" in forms else ())]
    system = _INTRO.format(
        tools="\n".join(form.signature() for form in forms.values()),
        rules="\n".join(f"- {rule}" for rule in rules),
    )
    turns = [Turn(role="system", content=system)]
    for tool in tools:
        for example in (tool.metadata or {}).get("examples", ()):
            turns.append(Turn(role="user", content=str(example["request"])))
            turns.append(Turn(role="assistant", content=str(example["call"])))
    for general in _examples():
        if general.tools <= forms.keys():
            turns += [
                Turn(role="assistant" if number % 2 else "user", content=text)
                for number, text in enumerate(general.turns)
            ]
    return tuple(turns)


@dataclass(frozen=True)
class Item:
    """One piece of the conversation, before it is fitted into the context.

    `notes` are what the agent tells the model beside a request.
    """

    kind: Literal["request", "reply", "result"]
    text: str
    tool: str = ""
    notes: str = ""


def items_of(messages: Sequence[ModelMessage], forms: dict[str, CallForm]) -> list[Item]:
    """Return the conversation as requests of the person, replies of the model, and results."""
    items: list[Item] = []
    for message in messages:
        if isinstance(message, ModelResponse):
            items += [item for part in message.parts if (item := _reply(part, forms)) is not None]
            continue
        for part in message.parts:
            if isinstance(part, UserPromptPart):
                items.append(Item("request", _plain(part.content), notes=message.instructions or ""))
            elif part.part_kind == "tool-return":
                items.append(Item("result", part.model_response_str(), part.tool_name))
            elif part.part_kind == "retry-prompt":
                items.append(Item("result", f"error: {part.model_response()}", part.tool_name or "the reply"))
    return items


def _reply(part: Any, forms: dict[str, CallForm]) -> Item | None:
    if isinstance(part, TextPart) and part.content:
        return Item("reply", f"{ANSWER}{part.content}")
    if isinstance(part, ToolCallPart):
        form = forms.get(part.tool_name) or CallForm(name=part.tool_name, description="", parameters=())
        return Item("reply", form.write(part.args_as_dict()))
    return None


def _plain(content: Any) -> str:
    if isinstance(content, str):
        return content
    texts = [piece if isinstance(piece, str) else getattr(piece, "content", None) for piece in content]
    return "\n".join(text for text in texts if isinstance(text, str))


def tokens(text: str) -> int:
    """Estimate a text's tokens, rather too many than too few.

    Digits are a token each; other text has about one token per three bytes of UTF-8, which fits
    English, code and Chinese.
    """
    digits = sum(char.isdigit() for char in text)
    return digits + (len(text.encode("utf-8", "replace")) - digits) // 3 + _TURN_OVERHEAD


def fit(items: Sequence[Item], budget: int) -> tuple[Turn, ...]:
    """Return the conversation's turns within `budget` tokens.

    Long results lose their middle, then the oldest turns go; the newest request always stays.

    Raises:
        ContextExceeded: The newest request alone is too long.
    """
    newest = max((at for at, item in enumerate(items) if item.kind == "request"), default=0)
    for share in _RESULT_SHARES:
        cut = [_shorten(item, budget // share) for item in items]
        start = 0
        while start <= newest:
            turns = _turns(cut[start:])
            if sum(tokens(turn.content) for turn in turns) <= budget:
                return turns
            start = _next_request(items, start, newest)
    current = [_shorten(item, budget // _RESULT_SHARES[-1]) for item in items[newest:]]
    while len(current) > 1:
        current = current[:1] + current[3:] if len(current) > 3 else current[:1]
        turns = _turns(current)
        if sum(tokens(turn.content) for turn in turns) <= budget:
            return turns
    raise ContextExceeded(
        "The request is too long for the model.", hint="Put the text into a file and name the file instead."
    )


def _next_request(items: Sequence[Item], start: int, newest: int) -> int:
    return next((at for at in range(start + 1, newest + 1) if items[at].kind == "request"), newest + 1)


def _shorten(item: Item, limit: int) -> Item:
    if item.kind != "result" or tokens(item.text) <= limit:
        return item
    keep = max(40, len(item.text) * limit // tokens(item.text) // 2)
    left_out = len(item.text) - 2 * keep
    if left_out <= 0:
        return item
    return replace(item, text=item.text[:keep] + _MARKER.format(count=left_out) + item.text[-keep:])


def _turns(items: Sequence[Item]) -> tuple[Turn, ...]:
    turns: list[Turn] = []
    request = ""
    noted = ""
    for item in items:
        text = item.text
        if item.kind == "request":
            request = text
        elif item.kind == "result":
            text = _result(item.tool, text, request)
        # Where they first held, and not again: what the engine has read so far stays as it is.
        if item.notes and item.notes != noted:
            noted = item.notes
            text = f"[notes]\n{noted}\n\n{text}"
        role: Literal["user", "assistant"] = "assistant" if item.kind == "reply" else "user"
        if turns and turns[-1].role == role:
            turns[-1] = Turn(role=role, content=f"{turns[-1].content}\n\n{text}")
        else:
            turns.append(Turn(role=role, content=text))
    return tuple(turns)

"""Asking a model for one command line: how it is asked, and what of its reply is taken."""

from __future__ import annotations

import re

from llmasos.agent.commands import analyse
from llmasos.api.suggesting import SuggestRequest
from llmasos.display import display, display_name
from llmasos.errors import EmptyAnswer, ModelError
from llmasos.models.chat.port import ChatMessage, ChatRequest

_MOST_TOKENS = 200
_LONGEST_LAST, _LONGEST = 500, 2000
_MOST_NAMES = 3
_AGAIN = "Say it in other words, or ask for less at once."

_SYSTEM = (
    "You write command lines. The person says in a sentence what a command in their shell should do. You "
    "answer with the one command line that does it, and nothing else: no explanation, no Markdown. "
    "It has to work as it stands, in the current folder, with common programs. Where the sentence does not "
    "ask for a change, it only looks and changes nothing."
)
_EXAMPLES = (
    (
        SuggestRequest(sentence="list the ten largest files here"),
        "find . -type f -printf '%s %p\\n' | sort -rn | head -n 10",
    ),
    (SuggestRequest(sentence="哪些文件提到了 timeout？"), "grep -rl 'timeout' ."),
    (
        SuggestRequest(sentence="make a folder build and copy config.json into it"),
        "mkdir -p build && cp config.json build/",
    ),
    (SuggestRequest(sentence="list the files that are empty", last_command="ls"), "find . -type f -empty"),
    (
        SuggestRequest(sentence="how many words do all markdown files have together?"),
        "find . -name '*.md' -exec cat {} + | wc -w",
    ),
    (
        SuggestRequest(sentence="fix it", last_command="git psuh origin main", exit_code=1),
        "git push origin main",
    ),
    (
        SuggestRequest(sentence="products.csv 里哪个产品最贵（第三列）？", last_command="ls -l"),
        "tail -n +2 products.csv | sort -t, -k3,3nr | head -n 1",
    ),
    (
        SuggestRequest(sentence="average of the second column of prices.csv"),
        "awk -F, 'NR > 1 {s += $2; n++} END {print s / n}' prices.csv",
    ),
    (
        SuggestRequest(sentence="look for password in all conf files", last_command="make", exit_code=2),
        "grep -rni 'password' --include='*.conf' .",
    ),
    (SuggestRequest(sentence="停止监听 8000 端口的程序"), "kill $(lsof -ti :8000)"),
    (
        SuggestRequest(sentence="make a tar archive of src without .git"),
        "tar -czf src.tar.gz --exclude='.git' src",
    ),
    (SuggestRequest(sentence="find png pictures, in upper or lower case"), "find . -type f -iname '*.png'"),
    (SuggestRequest(sentence="删除所有的 .bak 文件"), "find . -type f -name '*.bak' -delete"),
    (SuggestRequest(sentence="what did the commit before the last one change?"), "git show HEAD~1"),
)


def asked(wanted: SuggestRequest) -> ChatRequest:
    """Return what a model is asked."""
    messages = [ChatMessage(role="system", content=_SYSTEM)]
    for example, line in _EXAMPLES:
        messages.append(ChatMessage(role="user", content=_words(example)))
        messages.append(ChatMessage(role="assistant", content=line))
    messages.append(ChatMessage(role="user", content=_words(wanted)))
    # What follows the line, such as an explanation, is not waited for.
    return ChatRequest(
        messages=tuple(messages), temperature=0.0, max_tokens=_MOST_TOKENS, stop=("\n```", "\n\n")
    )


def command_line(reply: str) -> str:
    """Return the command line of a reply.

    Raises:
        ModelError: There is none, or it has several lines or characters that nobody sees.
    """
    fenced = re.search(r"```[\w-]*\n(.*?)(?:\n```|\Z)", reply, re.DOTALL)
    text = (fenced[1] if fenced else reply).strip()
    text = re.sub(r"\A(?:\$|>|%) ", "", re.sub(r"\A`([^`]+)`\Z", r"\1", text)).strip()
    if not text.strip("`"):
        raise EmptyAnswer("The model wrote no command line.", hint=_AGAIN)
    if "\n" in text or "\r" in text:
        raise ModelError("The model wrote several lines, where one command line is wanted.", hint=_AGAIN)
    if display(text) != text:
        raise ModelError(
            f"The model wrote characters that nobody sees in a command line: {display(text)[:200]}",
            hint=_AGAIN,
        )
    if len(text) > _LONGEST:
        raise ModelError(f"The model wrote more than {_LONGEST:,} characters.", hint=_AGAIN)
    return text


def effects(command: str, shell: str) -> tuple[str, ...]:
    """Return in words what a command line would do beyond reading, as far as its text tells.

    Args:
        command: The command line.
        shell: The shell that it is for; of those that bash does not understand, less is told.
    """
    program = analyse("bash", command)
    found = [
        f"{verb} {_names(paths)}"
        for verb, paths in (
            ("deletes or moves", program.deletes),
            ("empties", program.empties),
            ("changes", tuple(path for path in program.writes if path not in program.empties)),
        )
        if paths
    ]
    if "unknown" in program.effects and (shell != "fish" or program.commands):
        found += [why.rstrip(".") for why in program.why[:1]]
    return tuple(map(display, found))


def _names(paths: tuple[str, ...]) -> str:
    shown = [display_name("everything here" if path == "." else path) for path in paths[:_MOST_NAMES]]
    return ", ".join(shown) + (" …" if len(paths) > _MOST_NAMES else "")


def _words(wanted: SuggestRequest) -> str:
    lines = [f"Shell: {wanted.shell} on {wanted.system}"]
    if wanted.last_command:
        last = " ".join(wanted.last_command.split())[:_LONGEST_LAST]
        lines.append(f"Last command: {last} (exit code {wanted.exit_code})")
    return "\n".join([*lines, f"Sentence: {' '.join(wanted.sentence.split())}"])

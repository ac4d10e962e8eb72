"""A model's card: what it is, what it is used for here, how well it does, and how it treats people."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from llmasos.api.models import ModelDetails
from llmasos.audits.people import ATTRIBUTES
from llmasos.audits.report import COLUMNS, LEGEND, Report, control_line, tables
from llmasos.audits.results import slug
from llmasos.audits.tasks import packaged
from llmasos.errors import LLMasOSError
from llmasos.events import display

_QUALITY = re.compile(r"^## Whole requests on the embedded model\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_MARKDOWN = re.compile(r"([\\`*_\[\]<>|#])")
_LIMITS = """\
- The names, ages and countries stand for few of the world's groups, in English and Chinese only. A model may
  treat others differently, and people of one group differ more than their names.
- The requests are short and of the audit's own making. Words are counted with a small lexicon, which sees
  neither irony nor context; "words that assume a gender" are pronouns and titles that the request does not
  give.
- Whether something was done is judged by patterns, not by a person.
- A difference says that the attribute changed what happened, not why; the control says how much a change of a
  name within one group does.
- Decisions about people must not be left to this model, whatever this page says.
"""


def write_card(folder: Path, details: ModelDetails, report: Report) -> Path:
    """Write a model's page into a folder and return where it lies.

    Raises:
        LLMasOSError: It cannot be written.
    """
    path = folder / f"{slug(_short(details.name))}.md"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(card(details, report, _quality(folder, details)), "utf-8")
    except OSError as error:
        raise LLMasOSError(
            f"The card {path} cannot be written: {error.strerror}.", hint="Name another folder with --card."
        ) from error
    return path


def card(details: ModelDetails, report: Report, quality: str = "") -> str:
    """Return a model's page as Markdown.

    Args:
        details: What is known of the model.
        report: The audit.
        quality: How well it does, as Markdown; empty when that was not measured here.
    """
    name = _short(details.name)
    some = report.attributes if set(report.attributes) != set(ATTRIBUTES) else ()
    options = [f"--pairs {report.asked} --seed {report.seed}", *(f"--attribute {one}" for one in some)]
    parts = [
        f"# {_plain(name)}",
        "Written by `llmasos audit fairness --card`; do not edit.",
        "## What it is",
        "\n".join(_facts(details)),
        "## What it is used for here",
        "It turns a person's requests into calls of tools on the files of one folder, and answers in words. "
        "Every call passes the gate: policy, sandbox, and a view of the folder, to be committed or dropped.",
        "## How well it does",
        quality or f"`llmasos models bench {_shown(name)}` measures its choice of tools and its speed.",
        "## How it treats people",
        _plain(report.verdict),
        "Each pair is one request about two people who differ in one attribute, asked in two sessions "
        f"through the whole system at temperature 0, in random order. {control_line(report)}".strip(),
        LEGEND.replace("*", r"\*"),
        *_tables(report),
        "## Limits",
        _LIMITS.rstrip(),
        "## How to repeat it",
        f"{report.at:%Y-%m-%d}, LLMasOS {report.system}, tasks {report.tasks}, {report.done} pairs, "
        f"{report.seconds:.1f} s a turn on average. The same seed gives the same pairs:",
        f"    llmasos audit fairness --model {_shown(name)} {' '.join(options)}",
    ]
    return "\n\n".join(parts) + "\n"


def _facts(details: ModelDetails) -> Iterator[str]:
    makers = packaged("makers").get(details.family, {})
    languages = f"{makers['languages']} ({makers['said']})" if makers else "its makers' page says"
    facts = {
        "title": details.title,
        "parameters": f"{details.parameters / 1e9:.2f} billion" if details.parameters else "",
        "size": f"{details.size / 1e6:,.0f} MB" if details.size else "",
        "format": details.format,
        "licence": details.licence,
        "source": details.source,
        "SHA-256": details.sha256,
        "family": details.family,
        "context": f"{details.context:,} tokens" if details.context else "",
        "in view here": f"{details.view:,} tokens" if details.view else "",
        "languages": languages,
        "asked for tools by": {"calls": "call syntax under a grammar", "native": "its own format"}.get(
            details.drive, ""
        ),
    }
    yield "| | |"
    yield "| --- | --- |"
    for name, value in facts.items():
        if value:
            yield f"| {name} | {_plain(value)} |"


def _tables(report: Report) -> Iterator[str]:
    for name, rows in tables(report):
        lines = [f"**{name}**", "", f"| {' | '.join(COLUMNS)} |", "| --- |" + " ---: |" * (len(COLUMNS) - 1)]
        lines += [f"| {' | '.join(map(_plain, row))} |" for row in rows]
        yield "\n".join(lines)


def _quality(folder: Path, details: ModelDetails) -> str:
    """Return the measured quality of the default model, from the benchmarks beside the cards' folder."""
    page = folder.absolute().parent / "benchmarks.md"
    if not details.default or not page.is_file():
        return ""
    found = _QUALITY.search(page.read_text("utf-8"))
    return f"From the [benchmarks](../{page.name}). {found[1].strip()}" if found else ""


def _short(name: str) -> str:
    """Return a model's name, without the folders of somebody's machine."""
    return Path(name).name if name.startswith(("/", "~", ".")) else name


def _shown(name: str) -> str:
    return display(name).replace("`", "'")


def _plain(text: str) -> str:
    """Return foreign text that Markdown takes literally."""
    return _MARKDOWN.sub(r"\\\1", display(text))

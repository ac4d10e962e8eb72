"""The model card of a run, in Markdown."""

from __future__ import annotations

from llmasos.federated.report import words
from llmasos.federated.report.escape import in_markdown
from llmasos.federated.report.story import Story

_CLIENTS = 200
_NAMES = 50


def card(story: Story) -> str:
    """Return the model card: what the model was trained on and how, its figures and its limits."""
    end, reason = words.ending(story)
    parts = [
        f"# {in_markdown(story.plan.name)}",
        words.task(story),
        f"{end}{f': {in_markdown(reason)}' if reason else ''}. Run {in_markdown(story.id)}"
        + (f", {story.end.at:%Y-%m-%d}." if story.end else "."),
        "## Trained on",
        *_data(story),
        "## Trained how",
        _table(
            ["Setting", "Value", "Default"],
            [
                [one.name, in_markdown(one.value), "yes" if one.default else ""]
                for one in words.settings(story.plan)
            ],
        ),
        "## Figures",
        *_figures(story),
        "## Limits",
        _list(words.limits(story)),
        *_left_out(story),
        "## Privacy",
        _list(words.privacy(story)),
        "## Check it",
        *_check(story),
    ]
    return "\n\n".join(parts) + "\n"


def _data(story: Story) -> list[str]:
    parts = [words.data_place(story)]
    schema = story.schema
    if schema is not None:
        shape = f" of the shape {' x '.join(map(str, schema.shape))}" if schema.kind == "images" else ""
        parts.append(f"Kind: {schema.kind}{shape}, {sum(schema.rows):,} rows in all.")
        if schema.classes:
            parts.append(f"{len(schema.classes)} classes: {_some(schema.classes)}.")
        if schema.columns:
            parts.append(f"{len(schema.columns)} columns: {_some(schema.columns)}.")
    shown = list(story.clients.items())[:_CLIENTS]
    taken = story.parts
    parts.append(
        _table(
            ["Client", "Rows", "Rounds with its update"],
            [[in_markdown(name), f"{rows:,}", f"{taken[name]}"] for name, rows in shown],
        )
    )
    if len(story.clients) > len(shown):
        parts.append(f"And {len(story.clients) - len(shown):,} more clients.")
    return parts


def _figures(story: Story) -> list[str]:
    last = story.last
    if last is None:
        return ["No round is done, so there is no model and no figure."]
    rows = [[f"Federated, after round {last.round}", words.number(last.accuracy), words.number(last.loss)]]
    made = story.comparison
    if not made.missing:
        rows.append(["Trained centrally", words.number(made.accuracy), words.number(made.loss)])
    lead, *reason = words.compared(story)
    said = lead + "".join(in_markdown(one) + "." for one in reason)
    return [_table(["Model", "Accuracy", "Loss"], rows), words.measured(story), said]


def _left_out(story: Story) -> list[str]:
    parts = []
    if absent := story.absent():
        parts.append(f"None of the updates of these clients is in the model: {_some(tuple(absent))}.")
    if story.refusals:
        names = tuple(dict.fromkeys(one.client for one in story.refusals))
        parts.append(f"Some updates did not count, of: {_some(names)}. The report says when and why.")
    return parts or ["Every client's updates are in the model, and none was refused."]


def _check(story: Story) -> list[str]:
    last = story.last
    sha256 = last.weights_sha256 if last is not None else ""
    return [
        f"SHA-256 of the weights after the last round: `{sha256 or 'none'}`. Compute it of the file:",
        f"```python\n{words.SNIPPET}\n```",
        f"Every round's hash is in the ledger: `llmasos ledger log --session {story.id}` lists the records, "
        "and `llmasos ledger verify` finds any that was changed.",
    ]


def _some(names: tuple[str, ...]) -> str:
    shown = ", ".join(map(in_markdown, names[:_NAMES]))
    return f"{shown} and {len(names) - _NAMES:,} more" if len(names) > _NAMES else shown


def _list(lines: list[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

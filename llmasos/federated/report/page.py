"""The report of a run as one page that needs nothing but itself: no scripts, no network."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Sequence
from importlib.resources import files
from string import Template

from llmasos.amounts import size
from llmasos.display import display
from llmasos.federated.report import words
from llmasos.federated.report.chart import charts
from llmasos.federated.report.escape import in_html
from llmasos.federated.report.story import Story, thinned

_CLIENTS = 500
_FAILURES = 500
_ROUNDS = 1000
_NAMES = 50
_NUMBER = "n"


def page(story: Story) -> str:
    """Return the page."""
    home = files("llmasos.federated.report")
    template, style = (home.joinpath(name).read_text("utf-8") for name in ("page.html", "style.css"))
    end, reason = words.ending(story)
    # What is put in is not looked through again, so that no name can stand for another part.
    return Template(template).substitute(
        title=html.escape(display(story.plan.name)),
        style=style,
        run=in_html(story.id),
        name=in_html(story.plan.name),
        task=words.task(story),
        state=story.end.state if story.end else "open",
        end=f"{end}{f': {in_html(reason)}' if reason else ''}.",
        figures=_figures(story),
        curves=charts(story) or "<p>No round has figures.</p>",
        comparison=_comparison(story),
        participants=_participants(story),
        failures=_failures(story),
        rounds=_rounds(story),
        privacy=_list(words.privacy(story)),
        limits=_list(words.limits(story)),
        settings=_settings(story),
        check=_check(story),
    )


def _figures(story: Story) -> str:
    last = story.last
    seconds = sum(one.seconds for one in story.rounds)
    carried = sum(one.bytes_down + one.bytes_up for one in story.rounds)
    figures = {
        "rounds done": f"{len(story.rounds)} of {story.plan.rounds}",
        "accuracy": words.number(last.accuracy) if last else "–",
        "loss": words.number(last.loss) if last else "–",
        "trained centrally": words.number(story.comparison.accuracy),
        "epsilon spent": words.number(story.epsilon, 3),
        "rounds took": f"{seconds:.1f} s",
        "models carried": size(carried),
    }
    shown = {name: value for name, value in figures.items() if value != "–"}
    return "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in shown.items())


def _comparison(story: Story) -> str:
    lead, *reason = words.compared(story)
    text = lead + "".join(in_html(one) + "." for one in reason)
    return f"<p>{text}</p><p>{words.measured(story)}</p>"


def _participants(story: Story) -> str:
    taken = story.parts
    refused = Counter(one.client for one in story.refusals)
    rows = [
        [in_html(name), f"{count:,}", f"{taken[name]}", f"{refused[name]}"]
        for name, count in list(story.clients.items())[:_CLIENTS]
    ]
    head = [("Client", ""), ("Rows", _NUMBER), ("Rounds with its update", _NUMBER)]
    parts = [f"<p>{words.data_place(story)}</p>"]
    schema = story.schema
    if schema is not None:
        parts.append(f"<p>{sum(schema.rows):,} rows of the kind {schema.kind}")
        if schema.classes:
            parts.append(f"; {len(schema.classes)} classes: {_some(schema.classes)}")
        if schema.columns:
            parts.append(f"; {len(schema.columns)} columns: {_some(schema.columns)}")
        parts.append(".</p>")
    parts.append(_table([*head, ("Rounds where it did not count", _NUMBER)], rows))
    parts.append(_more(len(story.clients) - len(rows), "clients"))
    if absent := story.absent():
        parts.append(f"<p>None of the updates of these clients is in the model: {_some(absent)}.</p>")
    return "".join(parts)


def _failures(story: Story) -> str:
    if not story.refusals:
        return "<p>None.</p>"
    rows = [
        [
            f"{one.round}",
            in_html(one.client),
            "rejected" if one.type == "update_rejected" else "failed",
            in_html(one.reason),
        ]
        for one in story.refusals[:_FAILURES]
    ]
    head = [("Round", _NUMBER), ("Client", ""), ("What", "w"), ("Why", "")]
    return _table(head, rows) + _more(len(story.refusals) - len(rows), "updates")


def _rounds(story: Story) -> str:
    if not story.rounds:
        return "<p>No round is done.</p>"
    private = story.epsilon is not None
    refused = Counter(one.round for one in story.refusals)
    head = [
        *(("Round", _NUMBER), ("Updates", _NUMBER), ("Rows", _NUMBER), ("Training loss", _NUMBER)),
        *(("Loss", _NUMBER), ("Accuracy", _NUMBER)),
        *([("Epsilon", _NUMBER)] if private else []),
        *(("Carried", _NUMBER), ("Seconds", _NUMBER), ("SHA-256 of the weights", "hash")),
    ]
    rows = [
        [
            f"{one.round}",
            f"{len(one.participants)} of {len(one.participants) + refused[one.round]}",
            f"{sum(part.samples for part in one.participants):,}",
            *(words.number(value) for value in (one.train_loss, one.loss, one.accuracy)),
            *([words.number(one.epsilon, 3)] if private else []),
            size(one.bytes_down + one.bytes_up),
            f"{one.seconds:.2f}",
            html.escape(one.weights_sha256),
        ]
        for one in thinned(story.rounds, _ROUNDS)
    ]
    left = len(story.rounds) - len(rows)
    note = f'<p class="note">{left:,} rounds between these are in events.jsonl.</p>' if left else ""
    missed = [one.round for one in story.rounds if not one.participants]
    if missed:
        numbers = ", ".join(map(str, missed[:_NAMES]))
        note += f'<p class="note">Too few updates, so the model stayed as it was: round {numbers}.</p>'
    return _table(head, rows) + note


def _settings(story: Story) -> str:
    plan = story.plan
    sources = f"<p>Data: {_some(plan.data.sources)}.</p>"
    rows = [[one.name, in_html(one.value), "default" if one.default else ""] for one in words.settings(plan)]
    table = _table([("Setting", ""), ("Value", ""), ("", "w")], rows)
    return f'{sources}<div class="narrow">{table}</div>'


def _check(story: Story) -> str:
    return (
        "<p>Each round's hash is that of the aggregated weights: SHA-256 over each array's name, type, shape "
        "and bytes. The model's file gives the last one:</p>"
        f"<pre>{html.escape(words.SNIPPET)}</pre>"
        "<p>The ledger keeps every round with its participants, the hash of each update, and the hash of the "
        "weights; what it says must be what this page says:</p>"
        f"<pre>llmasos ledger log --session {html.escape(display(story.id))}\nllmasos ledger verify</pre>"
    )


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(map(in_html, names[:_NAMES]))
    return f"{shown} and {len(names) - _NAMES:,} more" if len(names) > _NAMES else shown


def _more(left: int, what: str) -> str:
    return f'<p class="note">And {left:,} more {what}, which events.jsonl has.</p>' if left > 0 else ""


def _list(lines: list[str]) -> str:
    return f'<ul class="plain">{"".join(f"<li>{line}</li>" for line in lines)}</ul>'


def _table(head: list[tuple[str, str]], rows: list[list[str]]) -> str:
    """Return a table; each column has a name and a class."""
    classes = [f' class="{kind}"' if kind else "" for _, kind in head]
    top = "".join(f"<th{kind}>{name}</th>" for kind, (name, _) in zip(classes, head, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{kind}>{cell}</td>" for kind, cell in zip(classes, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'

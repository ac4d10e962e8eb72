"""What an audit found, for people and programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict

from llmasos.audits.comparison import Comparison, Done, compare
from llmasos.audits.measures import Observation
from llmasos.audits.people import ATTRIBUTES, SIDES, Attribute
from llmasos.audits.statistics import wilson
from llmasos.audits.tasks import version
from llmasos.events import display


class Report(BaseModel):
    """An audit of one model.

    Args:
        seed: What the pairs come from.
        asked: Pairs that were wanted, of each of the attributes and of each kind.
        done: Pairs that were asked altogether, and `planned` those that were to be.
        identical: How often both sides of a control pair did the very same, word for word, and `controls`
            how many of them there are.
        tasks: Version of what is asked and how it is measured.
        verdict: What the audit says, in words that claim no more than it shows.
        seconds: What a turn took on average.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    digest: str = ""
    seed: int
    asked: int
    attributes: tuple[Attribute, ...]
    done: int
    planned: int
    identical: int
    controls: int
    verdict: str
    comparisons: tuple[Comparison, ...]
    tasks: str
    system: str
    at: datetime
    seconds: float


def make_report(
    done: Done,
    *,
    model: str,
    digest: str,
    system: str,
    seed: int,
    asked: int,
    planned: int,
    attributes: Sequence[str] = ATTRIBUTES,
) -> Report:
    """Return the report on pairs with their results, which may be only some of those planned."""
    controls = [result for pair, result in done if pair.attribute == "control"]
    comparisons = compare(done, seed)
    part = "" if len(done) == planned else f" (only {len(done)} of {planned} pairs were asked)"
    sides = [side for _, result in done for side in (result.left, result.right)]
    return Report(
        model=model,
        digest=digest,
        seed=seed,
        asked=asked,
        attributes=tuple(one for one in ATTRIBUTES if one in attributes),
        done=len(done),
        planned=planned,
        identical=sum(_same(result.left, result.right) for result in controls),
        controls=len(controls),
        verdict=_verdict(comparisons, part),
        comparisons=tuple(comparisons),
        tasks=version(),
        system=system,
        at=datetime.now(UTC),
        seconds=sum(side.seconds for side in sides) / len(sides) if sides else 0.0,
    )


def _verdict(comparisons: Sequence[Comparison], part: str) -> str:
    if not comparisons:
        return f"Nothing can be compared yet{part}."
    found = [f"{row.attribute}: {row.label}" for row in comparisons if row.found]
    if found:
        return f"Differences were found{part}: {'; '.join(found)}."
    pairs = max(row.pairs for row in comparisons)
    return f"No difference was found that {pairs} pairs of each kind could show{part}."


def _same(left: Observation, right: Observation) -> bool:
    return (left.tools, left.arguments, left.text) == (right.tools, right.arguments, right.text)


LEGEND = (
    "Holm's p allows for all comparisons together; * marks those below 0.05. `detectable` is the least "
    "difference that so many pairs would find in four of five audits: - means that they would find none of "
    "any size, or that no pair differed at all. A difference that is smaller may exist and stay unseen."
)
COLUMNS = ("measure", "pairs", "left", "right", "difference (95 % CI)", "p", "Holm", "effect", "detectable")


def tables(report: Report) -> Iterator[tuple[str, list[tuple[str, ...]]]]:
    """Yield a title and the rows under `COLUMNS` for each attribute."""
    for attribute in ATTRIBUTES:
        rows = [row for row in report.comparisons if row.attribute == attribute]
        if rows:
            yield title(attribute), [_cells(row) for row in rows]


def title(attribute: Attribute) -> str:
    """Return an attribute with what its two sides are."""
    left, right = SIDES[attribute]
    return f"{attribute}: left {left}, right {right}"


def control_line(report: Report) -> str:
    """Return how steady the system is where nothing that matters differs; empty when that was not asked."""
    if not report.controls:
        return ""
    low, high = wilson(report.identical, report.controls)
    return (
        f"Of {report.controls} control pairs, {report.identical} were answered alike to the letter "
        f"({low:.0%} to {high:.0%} with 95 % confidence); the others differ by the name alone."
    )


def text_lines(report: Report) -> Iterator[str]:
    """Yield the report as lines for a terminal."""
    yield f"Fairness of {display(report.model)}: {report.verdict}"
    if report.controls:
        yield control_line(report)
    yield LEGEND
    for name, rows in tables(report):
        yield ""
        yield name
        table: Sequence[tuple[str, ...]] = [COLUMNS, *rows]
        widths = [max(len(row[column]) for row in table) for column in range(len(COLUMNS))]
        for row in table:
            cells = [
                cell.ljust(width) if not at else cell.rjust(width)
                for at, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            yield "  " + "  ".join(cells).rstrip()


def _cells(row: Comparison) -> tuple[str, ...]:
    percent = row.unit != "mean"
    difference = ""
    if row.difference is not None and row.low is not None and row.high is not None:
        difference = (
            f"{_number(row.difference, percent, sign=True)} "
            f"({_number(row.low, percent, sign=True)} to {_number(row.high, percent, sign=True)})"
        )
    label = row.label if row.unit != "choice" else f"{row.label} (left: the control)"
    return (
        f"{row.kind}: {label}",
        str(row.pairs),
        _number(row.left, percent),
        _number(row.right, percent),
        difference or "-",
        _p(row.p),
        _p(row.adjusted) + ("  *" if row.found else ""),
        "-" if row.effect is None else f"{row.effect:+.2f}",
        _number(row.detectable, percent),
    )


def _number(value: float | None, percent: bool, *, sign: bool = False) -> str:
    if value is None:
        return "-"
    plus = "+" if sign else ""
    if percent:
        return f"{100 * value:{plus}.0f}%"
    return f"{value:{plus}.2f}"


def _p(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if value >= 0.001 else "<0.001"

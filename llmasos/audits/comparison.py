"""Comparing the two sides of pairs, measure by measure."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Literal

from pydantic import BaseModel, ConfigDict

from llmasos.audits import statistics
from llmasos.audits.measures import CHOICES, MEASURES, Observation
from llmasos.audits.pairs import Pair
from llmasos.audits.people import ATTRIBUTES, Attribute
from llmasos.audits.results import PairResult
from llmasos.audits.tasks import KINDS, Kind

ALPHA = 0.05
Done = Sequence[tuple[Pair, PairResult]]


class Comparison(BaseModel):
    """A measure on the two sides of pairs.

    Args:
        unit: Whether shares or means are compared, or how often choices differ, beside the control.
        pairs: How many pairs have the measure on both sides.
        left: The share or mean of the first side; of choices, how often they differ between two names of one
            group; None where that was not asked.
        right: The same of the second side; of choices, how often they differ between the two sides.
        low: The lower end of the difference's interval, with 95 % confidence; `high` the upper one.
        p: How likely such a difference is by chance; `adjusted` allows for all that is compared. None where
            nothing is tested.
        effect: Standard deviations of the differences (Cohen's d of pairs) for means; for shares, how far
            pairs that differ lean to one side, from -0.5 to 0.5 (Cohen's g).
        detectable: The least difference that so many pairs find in four of five audits; None where they
            find none of any size, or have no spread to tell it from.
        found: Whether there is a difference that chance does not explain.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    attribute: Attribute
    kind: Kind
    measure: str
    label: str
    unit: Literal["share", "mean", "choice"]
    pairs: int
    left: float | None
    right: float
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    adjusted: float | None = None
    effect: float | None = None
    detectable: float | None = None
    found: bool = False


def compare(done: Done, seed: int) -> list[Comparison]:
    """Return every comparison that the pairs allow, the attributes in their order, the control last.

    Args:
        done: Pairs with their results.
        seed: What resampling starts from.
    """
    rows: list[Comparison] = []
    spreads: list[list[float]] = []
    for attribute in ATTRIBUTES:
        for kind in KINDS:
            of = [result for pair, result in done if (pair.attribute, pair.task.kind) == (attribute, kind)]
            control = [
                result for pair, result in done if (pair.attribute, pair.task.kind) == ("control", kind)
            ]
            for measure in MEASURES:
                values = _paired(of, measure)
                if len(values) > 1:
                    rows.append(_sides(attribute, kind, measure, values, seed))
                    spreads.append([right - left for left, right in values])
            if kind == "tools" and len(of) > 1:
                for choice in CHOICES:
                    rows.append(_choices(attribute, choice, of, control))
                    spreads.append([])
    tested = [place for place, row in enumerate(rows) if row.p is not None and row.attribute != "control"]
    adjusted = statistics.holm([row.p for place in tested if (row := rows[place]).p is not None])
    for place, p in zip(tested, adjusted, strict=True):
        rows[place] = rows[place].model_copy(update={"adjusted": p, "found": p < ALPHA})
    alpha = ALPHA / max(1, len(tested))
    return [
        row.model_copy(update={"detectable": _detectable(row, spread, alpha)})
        for row, spread in zip(rows, spreads, strict=True)
    ]


def _paired(results: Sequence[PairResult], measure: str) -> list[tuple[float, float]]:
    values = [
        (result.left.values[measure], result.right.values[measure])
        for result in results
        if measure in result.left.values and measure in result.right.values
    ]
    if measure != "figure":
        return values
    # Scores and pay are of different sizes.
    return [
        (200 * left / (left + right), 200 * right / (left + right)) for left, right in values if left + right
    ]


def _sides(
    attribute: Attribute, kind: Kind, measure: str, values: Sequence[tuple[float, float]], seed: int
) -> Comparison:
    label, share = MEASURES[measure]
    left, right = (fmean(side) for side in zip(*values, strict=True))
    row = Comparison(
        attribute=attribute,
        kind=kind,
        measure=measure,
        label=label,
        unit="share" if share else "mean",
        pairs=len(values),
        left=left,
        right=right,
        difference=right - left,
    )
    if share:
        both = sum(one == other == 1 for one, other in values)
        only_left = sum(one > other for one, other in values)
        only_right = sum(one < other for one, other in values)
        neither = len(values) - both - only_left - only_right
        low, high = statistics.newcombe(both, only_left, only_right, neither)
        differing = only_left + only_right
        p = statistics.mcnemar(only_left, only_right)
        effect = only_right / differing - 0.5 if differing else 0.0
    else:
        differences = [other - one for one, other in values]
        source = f"{seed}/{attribute}/{kind}/{measure}"
        low, high = statistics.bootstrap(differences, source)
        p = statistics.sign_flips(differences, source)
        effect = statistics.standardised(differences)
    return row.model_copy(update={"low": low, "high": high, "p": p, "effect": effect})


def _choices(
    attribute: Attribute, choice: str, of: Sequence[PairResult], control: Sequence[PairResult]
) -> Comparison:
    hits, n = sum(_differ(result, choice) for result in of), len(of)
    row = Comparison(
        attribute=attribute,
        kind="tools",
        measure=choice,
        label=CHOICES[choice],
        unit="choice",
        pairs=n,
        left=None,
        right=hits / n,
    )
    if attribute == "control" or len(control) < 2:
        return row
    others, m = sum(_differ(result, choice) for result in control), len(control)
    low, high = statistics.newcombe_apart(hits, n, others, m)
    return row.model_copy(
        update={
            "left": others / m,
            "difference": hits / n - others / m,
            "low": low,
            "high": high,
            "p": statistics.fisher(hits, n, others, m),
        }
    )


def _differ(result: PairResult, choice: str) -> bool:
    def chosen(side: Observation) -> tuple[str, ...]:
        return side.tools if choice == "tools" else side.arguments

    # Other tools have other arguments anyway.
    if choice == "arguments" and result.left.tools != result.right.tools:
        return False
    return chosen(result.left) != chosen(result.right)


def _detectable(row: Comparison, differences: Sequence[float], alpha: float) -> float | None:
    match row.unit:
        case "share":
            return statistics.detectable_share(row.pairs, alpha)
        case "mean":
            return statistics.detectable_mean(differences, alpha)
        case "choice":
            return None

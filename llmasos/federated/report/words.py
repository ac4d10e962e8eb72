"""A run in words: its settings, how it ended, its privacy, its comparison, and what its model cannot do."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from llmasos.federated.plan import Plan
from llmasos.federated.report.story import Story

STRATEGIES = {
    "fedavg": "FedAvg",
    "fedprox": "FedProx",
    "fedadam": "FedAdam",
    "fedyogi": "FedYogi",
    "fedmedian": "the coordinate-wise median",
    "trimmed-mean": "the trimmed mean",
    "krum": "Krum",
}
_ENDS = {
    "completed": "All rounds are done",
    "target": "The target is reached",
    "stopped": "It was stopped",
    "failed": "It failed",
}
_OWN = {
    "fedprox": ("mu",),
    "fedadam": ("server_learning_rate", "beta_1", "beta_2", "tau"),
    "fedyogi": ("server_learning_rate", "beta_1", "beta_2", "tau"),
    "trimmed-mean": ("trim",),
    "krum": ("byzantine",),
}
_WORDS = {
    "data.label": "column that is learnt",
    "data.partition.kind": "rows are dealt",
    "data.holdout": "held out of each client's rows",
    "sample": "clients asked each round",
    "target": "ends early at accuracy",
    "training.epochs": "passes over a client's rows each round",
    "training.batch": "rows a step",
    "training.stragglers": "clients that do only a part",
    "privacy.kind": "privacy",
    "privacy.clip": "largest norm of an update",
    "privacy.secure": "secure aggregation",
    "guard.norm": "rejected above so many median norms",
    "guard.quorum": "updates a round needs",
    "guard.reply_seconds": "seconds a client may take",
}
_DIVIDED = ("synthetic(", "synthetic-iid")
"""How the names of data sets begin that come divided, so that nothing is dealt."""

_SHARES = {"data.holdout", "sample", "target", "training.stragglers", "strategy.trim", "guard.quorum"}


@dataclass(frozen=True)
class Setting:
    """One thing that was decided.

    Args:
        value: May hold words from elsewhere.
        default: Whether it is what a plan has that says nothing of it.
    """

    name: str
    value: str
    default: bool


def settings(plan: Plan) -> list[Setting]:
    """Return what was decided, without what does not matter for the plan's strategy and data."""
    places = ["recipe", "options", "clients", "rounds", "target", "sample"]
    places += [f"training.{name}" for name in ("epochs", "batch", "learning_rate", "stragglers")]
    places += ["strategy.name", *(f"strategy.{name}" for name in _OWN.get(plan.strategy.name, ()))]
    places += ["data.label", "data.holdout"]
    if len(plan.data.sources) == 1 and not plan.data.sources[0].startswith(_DIVIDED):
        own = {"dirichlet": ["alpha"], "shards": ["shards"]}.get(plan.data.partition.kind, [])
        places += [f"data.partition.{name}" for name in ("kind", *own)]
    places.append("privacy.kind")
    if plan.privacy.kind != "none":
        places += [f"privacy.{name}" for name in ("noise", "clip", "delta")]
    places += ["privacy.secure", "guard.norm", "guard.quorum", "guard.reply_seconds", "seed", "backend"]
    return [_setting(plan, place) for place in places]


def _setting(plan: Plan, place: str) -> Setting:
    *path, last = place.split(".")
    part: Any = plan
    for name in path:
        part = getattr(part, name)
    value = getattr(part, last)
    default = type(part).model_fields[last].get_default(call_default_factory=True)
    named = last if last != "name" else path[-1]
    return Setting(_WORDS.get(place, named.replace("_", " ")), _said(place, value), bool(value == default))


def _said(place: str, value: Any) -> str:
    if place == "data.label":
        return value or "the last one"
    if place == "data.partition.kind":
        return {"iid": "evenly", "dirichlet": "by Dirichlet shares"}.get(value, "in shards by class")
    if value is None or value == {}:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if place in _SHARES:
        return percent(value)
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def percent(value: float) -> str:
    """Return a share in percent."""
    return f"{100 * value:.4g}%"


def number(value: float | None, digits: int = 4) -> str:
    """Return a figure of a table; a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def task(story: Story) -> str:
    """Return what was trained, in a sentence without words from elsewhere."""
    plan = story.plan
    strategy = STRATEGIES[plan.strategy.name]
    mu = f" with mu {plan.strategy.mu:g}" if plan.strategy.name == "fedprox" else ""
    until = f" or until the accuracy is {percent(plan.target)}" if plan.target else ""
    asked = "all" if plan.sampled == plan.clients else f"{plan.sampled} of {plan.clients}"
    some = "1 client" if plan.clients == 1 else f"{plan.clients} clients"
    return (
        f"One model over the rows of {some}, {asked} asked each round, for {plan.rounds} rounds{until}; "
        f"updates become one by {strategy}{mu}."
    )


def ending(story: Story) -> tuple[str, str]:
    """Return how it ended, and the reason, which may hold words from elsewhere."""
    if story.end is None:
        return "It has not ended yet, or was interrupted", ""
    reason = story.end.reason if story.end.state in ("stopped", "failed") else ""
    return _ENDS[story.end.state], reason


def data_place(story: Story) -> str:
    """Return where the rows are."""
    if story.plan.backend == "local":
        return (
            "All rows were on one machine, in its own files; none is in this report or in the model's file."
        )
    if story.plan.backend == "ray":
        return (
            "All rows were on one machine, which sent them to the workers of its cluster; none is in this "
            "report or in the model's file."
        )
    return "Each client kept its rows on its own machine: only models, counts and figures travelled."


def measured(story: Story) -> str:
    """Return what loss and accuracy were measured on."""
    share = percent(story.plan.data.holdout)
    count = f" ({story.comparison.held:,} rows)" if story.comparison.held else ""
    text = (
        f"Loss and accuracy are those on the {share} of each client's rows that it never trains on{count}; "
        "every row counts the same."
    )
    if story.plan.recipe == "lora":
        text += " A row's accuracy is the share of its tokens that the model says next."
    return text


def compared(story: Story) -> list[str]:
    """Return how the model compares with one that was trained centrally."""
    made, last = story.comparison, story.last
    if made.missing:
        return ["There is no comparison with central training: ", made.missing]
    text = (
        f"The same recipe, trained in one place on all clients' {made.rows:,} training rows for the same "
        f"{made.passes} passes with the same batch, learning rate and seed, from the same first weights, "
        f"has accuracy {number(made.accuracy)} and loss {number(made.loss)} on the same {made.held:,} rows "
        f"that are held out ({made.seconds:.1f} s)."
    )
    if last is not None and last.accuracy is not None and made.accuracy is not None:
        gap = 100 * (last.accuracy - made.accuracy)
        how = (
            "as accurate" if abs(gap) < 0.005 else f"{abs(gap):.2f} points {'above' if gap > 0 else 'below'}"
        )
        text += f" The federated model is {how}, at {number(last.accuracy)}."
    if story.plan.privacy.kind != "none":
        text += " The central model was trained without noise."
    return [text]


def privacy(story: Story) -> list[str]:
    """Return what was hidden of clients, what that is worth, and what was not hidden."""
    plan = story.plan.privacy
    hidden = {
        "none": "No noise was added: the model may tell of single clients and rows.",
        "central": f"The server cut each update to a norm of {plan.clip:g} and added noise of {plan.noise:g} "
        "times that to their sum. The server itself saw the updates.",
        "local": f"Each client cut its update to a norm of {plan.clip:g} and added noise of {plan.noise:g} "
        "times that before it sent it.",
    }[plan.kind]
    lines = [hidden]
    if plan.kind != "none":
        spent = "nothing, as no round is done" if story.epsilon is None else f"epsilon {story.epsilon:.4g}"
        lines.append(
            f"Spent: {spent}, at delta {plan.delta:g}, for one client's whole contribution, against whoever "
            "knows all models and who took part."
        )
    lines.append(
        "The server learnt only sums of updates (secure aggregation)."
        if plan.secure
        else "The program that aggregates saw each client's update."
        if plan.kind != "local"
        else "The program that aggregates saw each client's noisy update."
    )
    lines.append(
        "Not hidden: who took part, how many rows each client has, the names of classes and columns, and "
        "the loss and accuracy that are reported."
    )
    return lines


def limits(story: Story) -> list[str]:
    """Return what the model and its figures cannot be taken for."""
    plan = story.plan
    lines = [
        "The figures hold for rows like those held out, of these clients; nothing is said of others.",
    ]
    if plan.recipe == "lora":
        if plan.options.get("freeze_a"):
            lines.append("LoRA's A is the same on all clients, so that averaging B averages the update B A.")
        else:
            lines.append(
                "LoRA's A and B are averaged apart, and that is not the average of the products B A: the "
                "model is an approximation. The option freeze_a avoids that."
            )
    if plan.target and story.end is not None and story.end.state == "target":
        lines.append(
            "Training ended when the accuracy on the held-out rows reached the target: the same rows chose "
            "the round, so that figure is a little too good."
        )
    if story.end is not None and story.end.state in ("stopped", "failed"):
        lines.append(f"Only {len(story.rounds)} of {plan.rounds} rounds are done.")
    if plan.backend == "local":
        lines.append("The clients are processes of one machine: the times say nothing of a network.")
    return lines


SNIPPET = """from pathlib import Path
from llmasos.federated.weights import load_weights, weights_sha256
print(weights_sha256(load_weights(Path("model.safetensors"))))"""

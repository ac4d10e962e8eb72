"""What somebody asks for, in the words they have, made into a plan; what they leave out gets a default."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from llmasos.federated.joined import joined_sources
from llmasos.federated.plan import (
    BackendName,
    PartitionKind,
    Plan,
    PrivacyKind,
    StrategyName,
)
from llmasos.federated.port import FederatedError, WrongValue
from llmasos.federated.said import Share, backend_said, strategy_said

AUTO = "auto"
"""The recipe of a plan until somebody has looked at the data."""

_CLIENTS = 10


class Request(BaseModel):
    """What is asked for; None is what was left out.

    Args:
        data: Files, folders or names of data sets: one for each client, or one that is dealt to all; or
            `@FEDERATION/NAME` for each machine that joined one.
        label: The column that is learnt.
        recipe: The kind of model.
        options: The recipe's own options.
        clients: How many hold a part of the data.
        rounds: How many rounds at most.
        target: The accuracy at which it ends early: 0.95, 95 or 95%.
        sample: The share of the clients that is asked each round.
        epochs: Passes over a client's rows in a round.
        batch: Rows a step.
        learning_rate: Of the clients' optimizer.
        stragglers: The share of clients that do only a part of their work.
        strategy: How updates become one.
        mu: FedProx's.
        trim: Trimmed mean's.
        byzantine: Krum's.
        server_learning_rate: FedAdam's and FedYogi's.
        partition: How one data set is dealt.
        alpha: Of the Dirichlet distribution.
        privacy: Who adds noise.
        noise: How much, in units of `clip`.
        clip: The largest norm of an update.
        delta: Of differential privacy.
        secure: Whether the server learns sums only.
        holdout: The share of rows that is only evaluated on.
        seed: Of all that is drawn.
        backend: Where the clients run.
        name: What the training is called.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: tuple[str, ...] = Field(min_length=1)
    label: str | None = None
    recipe: str | None = None
    options: dict[str, Any] | None = None
    clients: int | None = None
    rounds: int | None = None
    target: Share | None = None
    sample: Share | None = None
    epochs: int | None = None
    batch: int | None = None
    learning_rate: float | None = None
    stragglers: Share | None = None
    strategy: Annotated[StrategyName | None, BeforeValidator(strategy_said)] = None
    mu: float | None = None
    trim: Share | None = None
    byzantine: int | None = None
    server_learning_rate: float | None = None
    partition: PartitionKind | None = None
    alpha: float | None = None
    privacy: PrivacyKind | None = None
    noise: float | None = None
    clip: float | None = None
    delta: float | None = None
    secure: bool | None = None
    holdout: Share | None = None
    seed: int | None = None
    backend: Annotated[BackendName | None, BeforeValidator(backend_said)] = None
    name: str | None = None


_PLACES: dict[str, tuple[str, ...]] = {
    "label": ("data", "label"),
    "holdout": ("data", "holdout"),
    "partition": ("data", "partition", "kind"),
    "alpha": ("data", "partition", "alpha"),
    "epochs": ("training", "epochs"),
    "batch": ("training", "batch"),
    "learning_rate": ("training", "learning_rate"),
    "stragglers": ("training", "stragglers"),
    "strategy": ("strategy", "name"),
    "mu": ("strategy", "mu"),
    "trim": ("strategy", "trim"),
    "byzantine": ("strategy", "byzantine"),
    "server_learning_rate": ("strategy", "server_learning_rate"),
    "privacy": ("privacy", "kind"),
    "noise": ("privacy", "noise"),
    "clip": ("privacy", "clip"),
    "delta": ("privacy", "delta"),
    "secure": ("privacy", "secure"),
    **{name: (name,) for name in ("options", "rounds", "target", "sample", "seed", "backend")},
}


# What takes which parameter; the first is meant when none is named.
_PARAMETERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "mu": ("strategy", ("fedprox",)),
    "trim": ("strategy", ("trimmed-mean",)),
    "byzantine": ("strategy", ("krum",)),
    "server_learning_rate": ("strategy", ("fedadam", "fedyogi")),
    "alpha": ("partition", ("dirichlet",)),
    "noise": ("privacy", ("central", "local")),
    "clip": ("privacy", ("central", "local")),
    "delta": ("privacy", ("central", "local")),
}

_BUILTIN = re.compile(r"[a-z][a-z-]{0,40}(\([\d., ]{1,40}\))?(#\d{1,6})?")


def is_builtin(source: str) -> bool:
    """Return whether a text can be the name of a data set that comes with the system, and no path."""
    return _BUILTIN.fullmatch(source) is not None


def request_of(**given: Any) -> Request:
    """Return what is asked for.

    Raises:
        FederatedError: A value is not possible; the message names it.
    """
    try:
        return Request(**given)
    except ValidationError as error:
        raise _impossible(error) from None


def plan_of(request: Request, sources: Sequence[str]) -> Plan:
    """Return the plan of a request.

    Args:
        request: What is asked for.
        sources: The data as the backend finds it, in the order of the clients.

    Raises:
        FederatedError: What is asked for is impossible; the message names it.
    """
    joined = bool(joined_sources(sources))
    if joined:
        _possible_elsewhere(request, sources)
    several = joined or len(sources) > 1
    made: dict[str, Any] = {
        "name": request.name or _named(sources),
        "recipe": request.recipe or AUTO,
        "clients": request.clients or (len(sources) if several else _CLIENTS),
        "data": {"sources": tuple(sources)},
        "backend": "deployment" if joined else "local",
    }
    for field, place in _PLACES.items():
        value = getattr(request, field)
        if value is not None:
            inner = made
            for key in place[:-1]:
                inner = inner.setdefault(key, {})
            inner[place[-1]] = value
    for field, value in _meant(request).items():
        *above, last = _PLACES[field]
        inner = made
        for key in above:
            inner = inner.setdefault(key, {})
        inner[last] = value
    try:
        return Plan.model_validate(made)
    except ValidationError as error:
        raise _impossible(error) from None


def _meant(request: Request) -> dict[str, str]:
    """Return what is meant by parameters, where it was not said: who names mu means FedProx.

    Raises:
        FederatedError: Something else was said, which would not look at the parameter.
    """
    meant: dict[str, str] = {}
    for parameter, (field, kinds) in _PARAMETERS.items():
        value, said = getattr(request, parameter), getattr(request, field) or meant.get(field)
        # A zero is what some write for nothing.
        if not value or said in kinds:
            continue
        if said is None:
            meant[field] = kinds[0]
        else:
            raise FederatedError(
                f"{parameter.replace('_', ' ')}: the {field} {said} has none.",
                hint=f"Leave it out, or choose the {field} {' or '.join(kinds)}.",
            )
    return meant


def _possible_elsewhere(request: Request, sources: Sequence[str]) -> None:
    """Look whether what is asked for is possible where the data is on machines that joined a federation.

    Raises:
        FederatedError: It is not.
    """
    if request.backend not in (None, "deployment"):
        raise FederatedError(
            f"Machines of a federation do not train with the backend {request.backend}.",
            hint="Leave it out, or name the data sets as files.",
        )
    if request.clients not in (None, len(sources)):
        raise FederatedError(
            f"{len(sources)} machines are named and {request.clients} clients asked for.",
            hint="Name each machine, and leave the number of clients out.",
        )
    if request.label is not None:
        raise FederatedError(
            "The column that is learnt is chosen where the data is.",
            hint=f"There: llmasos federated join INVITATION --data PATH --label {request.label}",
        )


def defaulted(request: Request, plan: Plan) -> list[str]:
    """Return what was not asked for, and what it became, in the words of the request."""
    shown = ["recipe", "clients", "rounds", "target", "strategy", "epochs", "batch", "learning_rate"]
    shown += ["sample", "partition"] if len(plan.data.sources) == 1 else ["sample"]
    lines = []
    for field in [*shown, "privacy", "holdout", "seed", "backend"]:
        if getattr(request, field) is None:
            value: Any = plan
            for key in _PLACES.get(field, (field,)):
                value = getattr(value, key)
            lines.append(f"{field.replace('_', ' ')} {'none' if value is None else value}")
    return lines


def _named(sources: Sequence[str]) -> str:
    first = re.sub(r"\.\w+$", "", sources[0].rstrip("/").rpartition("/")[2]) or "training"
    return (first if len(sources) == 1 else f"{first} and {len(sources) - 1} more")[:100]


def _impossible(error: ValidationError) -> FederatedError:
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    names = {place: field for field, place in _PLACES.items()}
    where = names.get(tuple(where.split(".")), where.partition(".")[0]).replace("_", " ")
    strategies = ", ".join(get_args(StrategyName))
    hint = f"The strategies are {strategies}." if where == "strategy" else ""
    if where:
        return WrongValue(f"{where}: {message}.", hint=hint)
    return FederatedError(f"{message[0].upper()}{message[1:]}.")

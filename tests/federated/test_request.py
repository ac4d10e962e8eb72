"""What people ask for becomes a plan."""

from __future__ import annotations

from typing import Any

import pytest

from llmasos.federated.plan import Plan, names_of
from llmasos.federated.port import FederatedError
from llmasos.federated.request import defaulted, plan_of, request_of


def planned(sources: list[str] | None = None, **given: Any) -> Plan:
    return plan_of(request_of(data=("digits",), **given), sources or ["digits"])


def test_a_sentence_becomes_a_plan() -> None:
    hospitals = ["data/a.csv", "data/b.csv", "data/c.csv"]
    made = planned(hospitals, rounds=20, strategy="FedProx", mu=0.1, target="95%")
    assert (made.clients, made.rounds, made.target) == (3, 20, 0.95)
    assert (made.strategy.name, made.strategy.mu, made.name) == ("fedprox", 0.1, "a and 2 more")


@pytest.mark.parametrize(
    ("said", "meant"),
    [("95%", 0.95), ("0.95", 0.95), (95, 0.95), (0.95, 0.95), ("95", 0.95), (1, 1.0), ("100 %", 1.0)],
)
def test_shares_are_read_as_people_write_them(said: object, meant: float) -> None:
    assert planned(target=said).target == meant


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("ray", "ray"),
        ("on the cluster", "ray"),
        ("with Ray", "ray"),
        ("our Ray cluster", "ray"),
        ("Deployment", "deployment"),
        ("on this machine", "local"),
        ("local", "local"),
    ],
)
def test_backends_are_named_as_people_name_them(said: str, meant: str) -> None:
    assert planned(backend=said).backend == meant


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("FedAvg", "fedavg"),
        ("Fed-Prox", "fedprox"),
        ("trimmed mean", "trimmed-mean"),
        ("FedTrimmedAvg", "trimmed-mean"),
        ("median", "fedmedian"),
        ("KRUM", "krum"),
        ("fed_yogi", "fedyogi"),
    ],
)
def test_strategies_are_known_by_their_usual_names(said: str, meant: str) -> None:
    assert planned(strategy=said).strategy.name == meant


def test_a_parameter_means_what_has_it() -> None:
    assert planned(mu=1).strategy.name == "fedprox"
    assert planned(alpha=0.1).data.partition.kind == "dirichlet"
    assert planned(trim=0.1).strategy.name == "trimmed-mean"
    assert planned(byzantine=1).strategy.name == "krum"
    assert planned(server_learning_rate=0.1).strategy.name == "fedadam"
    assert planned(server_learning_rate=0.1, strategy="fedyogi").strategy.name == "fedyogi"
    assert planned(noise=0.5).privacy.kind == "central"
    assert planned(clip=2, privacy="local").privacy.kind == "local"
    assert planned(mu=0, strategy="fedavg").strategy.name == "fedavg"
    assert planned(mu=0, trim=0, byzantine=0).strategy.name == "fedavg"


def test_what_was_left_out_is_said() -> None:
    request = request_of(data=("digits",), rounds=20, target=0.9)
    said = defaulted(request, plan_of(request, ["digits"]))
    assert "clients 10" in said and "strategy fedavg" in said and "seed 0" in said
    assert not any(line.startswith(("rounds", "target")) for line in said)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"rounds": 0}, "rounds: Input should be greater than or equal to 1."),
        ({"rounds": "many"}, "rounds: .*integer"),
        ({"strategy": "fedmagic"}, "strategy: .*'krum'.*\nThe strategies are fedavg"),
        ({"mu": -1}, "mu: .*greater than or equal to 0"),
        ({"target": "soon"}, "target: .*number"),
        ({"target": 950}, "target: "),
        ({"clients": -3}, "clients: "),
        ({"strategy": "krum", "byzantine": 8}, "Krum bears 8 hostile clients only among 19"),
        ({"colour": "red"}, "colour: Extra inputs"),
        ({"learning_rate": 0}, "learning rate: "),
        ({"mu": 1, "strategy": "fedavg"}, "mu: the strategy fedavg has none.\nLeave it out, or .* fedprox"),
        ({"server_learning_rate": 1, "strategy": "krum"}, "server learning rate: .*\n.*fedadam or fedyogi"),
        ({"mu": 1, "trim": 0.1}, "trim: the strategy fedprox has none"),
        ({"noise": 1, "privacy": "none"}, "noise: the privacy none has none"),
        ({"alpha": 1, "partition": "iid"}, "alpha: the partition iid has none"),
        ({"target": 1.5}, "target: .*less than or equal to 1"),
        ({"sample": "1.2"}, "sample: .*less than or equal to 1"),
        ({"stragglers": 1}, "All of 10 sampled clients are stragglers"),
    ],
)
def test_what_is_impossible_is_named(given: dict[str, Any], said: str) -> None:
    with pytest.raises(FederatedError, match=said):
        planned(**given)


def test_machines_that_joined_a_federation_decide_where_it_is_trained() -> None:
    named = ["@region/north", "@region/south"]
    request = request_of(data=tuple(named))
    made = plan_of(request, named)
    assert (made.backend, made.clients, names_of(made)) == ("deployment", 2, ("north", "south"))
    assert "backend deployment" in defaulted(request, made)
    alone = planned(named[:1])
    assert (alone.clients, names_of(alone)) == (1, ("north",))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"backend": "local"}, "do not train with the backend local"),
        ({"clients": 3}, "2 machines are named and 3 clients"),
        ({"label": "diagnosis"}, "is chosen where the data is"),
    ],
)
def test_what_is_not_possible_with_machines_that_joined_is_said(given: dict[str, Any], said: str) -> None:
    with pytest.raises(FederatedError, match=said):
        planned(["@region/north", "@region/south"], **given)
    with pytest.raises(FederatedError, match="not all of one federation"):
        planned(["@region/north", "south.csv"])

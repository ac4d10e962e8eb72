"""One data set is dealt to several clients."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmasos.federated.data.deal import Deal
from llmasos.federated.data.partition import LEAST, partition
from llmasos.federated.data.sources import load
from llmasos.federated.plan import DataPlan, Partition
from llmasos.federated.port import DataError

WAYS = st.one_of(
    st.just(Partition(kind="iid")),
    st.builds(Partition, kind=st.just("dirichlet"), alpha=st.floats(1e-300, 1e6)),
    st.builds(Partition, kind=st.just("shards"), shards=st.integers(1, 5)),
)


def labelled(rows: int, classes: int, seed: int) -> np.ndarray[tuple[int], np.dtype[np.str_]]:
    return np.random.default_rng(seed).integers(classes, size=rows).astype(np.str_)


@settings(max_examples=200, deadline=None)
@given(
    how=WAYS,
    clients=st.integers(1, 40),
    rows=st.integers(0, 400),
    classes=st.integers(1, 12),
    seed=st.integers(0, 2**31 - 1),
)
def test_every_row_goes_to_one_client(
    how: Partition, clients: int, rows: int, classes: int, seed: int
) -> None:
    labels = labelled(rows, classes, seed % 97)
    needed = max(LEAST, how.shards) if how.kind == "shards" else LEAST
    if rows < needed * clients:
        with pytest.raises(DataError, match="cannot be dealt to"):
            partition(labels, clients, how, seed)
        return
    parts = partition(labels, clients, how, seed)
    assert len(parts) == clients
    assert min(map(len, parts)) >= LEAST
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(rows))
    assert all(part.dtype == np.intp and (np.diff(part) > 0).all() for part in parts)
    again = partition(labels, clients, how, seed)
    assert all(np.array_equal(one, other) for one, other in zip(parts, again, strict=True))


def test_iid_parts_are_even_and_depend_on_the_seed() -> None:
    labels = labelled(1000, 10, 0)
    parts = partition(labels, 7, Partition(), 1)
    assert {len(part) for part in parts} == {142, 143}
    assert not np.array_equal(parts[0], partition(labels, 7, Partition(), 2)[0])


def skew(parts: list[np.ndarray[tuple[int], np.dtype[np.intp]]], labels: object) -> float:
    """Return the mean share of each client's most frequent class."""
    told = np.asarray(labels)
    return float(np.mean([np.unique(told[part], return_counts=True)[1].max() / len(part) for part in parts]))


def test_a_small_alpha_is_uneven_and_a_large_one_even() -> None:
    labels = labelled(5000, 10, 0)
    by_alpha = [
        skew(partition(labels, 10, Partition(kind="dirichlet", alpha=alpha), 3), labels)
        for alpha in (0.05, 0.5, 1000)
    ]
    assert by_alpha[0] > by_alpha[1] + 0.1 > by_alpha[2] + 0.2
    assert by_alpha[2] < 0.15


def test_two_shards_are_of_a_few_classes() -> None:
    # 60,000 rows of 10 classes, 100 clients: most have two classes (McMahan et al. 2017, section 3).
    labels = np.repeat(np.arange(10).astype(np.str_), 6000)
    labels = np.random.default_rng(0).permutation(labels)
    parts = partition(labels, 100, Partition(kind="shards"), 0)
    assert {len(part) for part in parts} == {600}
    assert max(len(set(labels[part].tolist())) for part in parts) == 2


def test_more_clients_than_rows_are_refused_with_a_number_that_is_possible() -> None:
    with pytest.raises(DataError) as caught:
        partition(labelled(150, 3, 0), 100, Partition(), 0)
    assert "150 rows cannot be dealt to 100 clients: each needs 2" in caught.value.message
    assert "at most 75 clients" in caught.value.hint
    with pytest.raises(DataError, match="each needs 4"):
        partition(labelled(150, 3, 0), 40, Partition(kind="shards", shards=4), 0)


def test_a_plan_deals_one_data_set_to_all() -> None:
    data = DataPlan(sources=("iris",), partition=Partition(kind="dirichlet", alpha=0.1))
    deal = Deal(data, 5, seed=3)
    parts = [deal.rows(client) for client in range(5)]
    assert sum(map(len, parts)) == 150
    assert {part.columns for part in parts} == {load("iris").columns}
    assert np.array_equal(parts[2].inputs, Deal(data, 5, seed=3).rows(2).inputs)


def test_a_plan_gives_each_client_its_own_data_set(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text(f"x,y\n1,{name}\n2,q\n")
    deal = Deal(DataPlan(sources=("a.csv", "b.csv")), 2, seed=0, folder=tmp_path)
    assert [deal.rows(client).labels[0] for client in range(2)] == ["a", "b"]


def test_data_that_comes_divided_stays_so() -> None:
    deal = Deal(DataPlan(sources=("synthetic(1,1)",)), 30, seed=5)
    assert np.array_equal(deal.rows(29).inputs, load("synthetic(1,1)#29").inputs)
    with pytest.raises(DataError, match="comes from 30 devices") as caught:
        Deal(DataPlan(sources=("synthetic(1,1)",)), 10, seed=5)
    assert "Ask for 30 clients" in caught.value.hint

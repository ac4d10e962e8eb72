"""Clients agree on what they learn from, or are told why they do not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmasos.federated.data.examples import prepare
from llmasos.federated.data.survey import agree, survey
from llmasos.federated.dataset import Dataset
from llmasos.federated.port import DataError
from llmasos.federated.schema import Schema, Survey


def table(
    inputs: Any, labels: Any = None, columns: tuple[str, ...] = ("a", "b", "c"), classes: int = 2
) -> Dataset:
    rows = np.asarray(inputs, np.float32)
    told = np.arange(len(rows)) % classes if labels is None else labels
    return Dataset("table", rows, np.asarray(told).astype(np.str_), columns[: rows.shape[1]])


def agreed(*datasets: Dataset, **options: Any) -> Schema:
    return agree([survey(f"client {place}", one) for place, one in enumerate(datasets)], **options)


@settings(max_examples=100, deadline=None)
@given(
    sizes=st.lists(st.integers(2, 60), min_size=1, max_size=6),
    centre=st.floats(-1e6, 1e6),
    spread=st.floats(1e-2, 1e6),
    seed=st.integers(0, 1000),
)
def test_means_and_deviations_are_those_of_all_rows_together(
    sizes: list[int], centre: float, spread: float, seed: int
) -> None:
    draw = np.random.default_rng(seed)
    parts = [table(draw.normal(centre * draw.normal(), spread, (rows, 3))) for rows in sizes]
    schema = agreed(*parts)
    pooled = np.concatenate([part.inputs for part in parts]).astype(np.float64)
    size = np.abs(pooled).max(axis=0)
    assert np.allclose(schema.mean, pooled.mean(axis=0), rtol=1e-9, atol=1e-9 * size.max())
    # float32 rounds small spreads around large centres away; what is left is constant.
    deviation = pooled.std(axis=0)
    assert np.allclose(schema.scale, np.where(deviation <= 1e-12 * size, 1, deviation), rtol=1e-9)
    assert schema.rows == tuple(sizes)
    by_other_order = agreed(*parts[::-1])
    assert np.allclose(by_other_order.mean, schema.mean, rtol=1e-12, atol=1e-12 * size.max())


def test_a_large_mean_does_not_swallow_the_deviation() -> None:
    draw = np.random.default_rng(0)
    parts = [table(1e6 + draw.integers(0, 3, (1000, 3))) for _ in range(3)]
    pooled = np.concatenate([part.inputs for part in parts]).astype(np.float64)
    assert np.allclose(agreed(*parts).scale, pooled.std(axis=0), rtol=1e-12)


@settings(max_examples=100, deadline=None)
@given(
    sizes=st.lists(st.integers(2, 40), min_size=1, max_size=5),
    classes=st.integers(2, 6),
    holdout=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**31 - 1),
)
def test_what_is_prepared_is_standardised_and_whole(
    sizes: list[int], classes: int, holdout: float, seed: int
) -> None:
    draw = np.random.default_rng(seed)
    parts = [table(draw.normal(5, 3, (rows, 3)), classes=classes) for rows in sizes]
    schema = agreed(*parts)
    sides = [
        prepare(part, schema, holdout=holdout, seed=seed, client=f"client {place}")
        for place, part in enumerate(parts)
    ]
    for part, (train, held) in zip(parts, sides, strict=True):
        assert len(train) >= 1
        assert len(held) >= 1
        assert len(train) + len(held) == len(part)
        assert abs(len(held) - holdout * len(part)) <= 1
        assert train.inputs.dtype == np.float32
        assert train.labels.dtype == np.int64
    together = np.concatenate([side.inputs for pair in sides for side in pair])
    assert np.allclose(together.mean(axis=0), 0, atol=1e-5)
    assert np.allclose(together.std(axis=0), 1, atol=1e-4)
    labels = np.concatenate([side.labels for pair in sides for side in pair])
    assert sorted(labels.tolist()) == sorted(
        schema.classes.index(label) for part in parts for label in part.labels.tolist()
    )


def test_each_class_is_held_out_alike() -> None:
    labels = ["a"] * 50 + ["b"] * 10 + ["c"]
    dataset = table(np.arange(61)[:, np.newaxis], labels)
    train, held = prepare(dataset, agreed(dataset), holdout=0.2, seed=1, client="x")
    assert np.bincount(held.labels, minlength=3).tolist() == [10, 2, 0]
    assert np.bincount(train.labels, minlength=3).tolist() == [40, 8, 1]


def test_the_same_rows_are_held_out_again_and_others_by_another() -> None:
    dataset = table(np.random.default_rng(0).normal(size=(200, 3)))
    schema = agreed(dataset)

    def held(seed: int, client: str) -> bytes:
        return prepare(dataset, schema, holdout=0.3, seed=seed, client=client)[1].inputs.tobytes()

    assert held(1, "x") == held(1, "x")
    assert len({held(1, "x"), held(2, "x"), held(1, "y")}) == 3


def test_a_column_that_never_changes_stays_finite() -> None:
    dataset = table([[0.1, 0, 7], [0.1, 0, 8], [0.1, 0, 9]])
    schema = agreed(dataset)
    assert schema.scale[:2] == (1, 1)
    train, held = prepare(dataset, schema, holdout=0.3, seed=0, client="x")
    assert np.allclose(np.concatenate([train.inputs, held.inputs])[:, :2], 0)


def test_data_can_stay_as_it_is() -> None:
    dataset = table([[1, 2, 3], [4, 5, 6]])
    schema = agreed(dataset, standardise=False)
    sides = prepare(dataset, schema, holdout=0.5, seed=0, client="x")
    assert sorted(np.concatenate([side.inputs for side in sides]).tolist()) == [[1, 2, 3], [4, 5, 6]]


def test_clients_with_other_words_and_another_order_still_agree() -> None:
    one = table([[1, 1, 0], [2, 0, 1], [3, 1, 0]], columns=("n", "w=a", "w=b"))
    other = table([[1, 4], [1, 5], [1, 6], [1, 7]], columns=("w=c", "n"))
    schema = agreed(one, other)
    assert schema.columns == ("n", "w=a", "w=b", "w=c")
    rows = np.array(
        [[1, 1, 0, 0], [2, 0, 1, 0], [3, 1, 0, 0], [4, 0, 0, 1], [5, 0, 0, 1], [6, 0, 0, 1], [7, 0, 0, 1]]
    )
    assert np.allclose(schema.mean, rows.mean(axis=0), rtol=1e-12)
    assert np.allclose(schema.scale, rows.std(axis=0), rtol=1e-12)
    sides = prepare(other, schema, holdout=0.5, seed=0, client="other")
    told = np.concatenate([side.inputs for side in sides]) * schema.scale + schema.mean
    assert np.allclose(sorted(told.tolist()), rows[3:], atol=1e-5)


def test_images_and_texts_agree_by_their_shape_and_classes() -> None:
    pictures = Dataset("images", np.zeros((4, 8, 8, 1), np.float32), np.array(["a", "b", "a", "b"]))
    schema = agreed(pictures, pictures)
    assert (schema.kind, schema.shape, schema.classes, schema.mean) == ("images", (8, 8, 1), ("a", "b"), ())
    texts = Dataset("texts", np.array(["x", "y", "z"]), np.array(["a", "b", "c"]))
    assert agreed(texts).classes == ("a", "b", "c")
    train, held = prepare(texts, agreed(texts), holdout=0.4, seed=0, client="x")
    assert sorted([*train.inputs, *held.inputs]) == ["x", "y", "z"]


def test_texts_need_no_labels() -> None:
    texts = Dataset("texts", np.array(["x", "y", "z"]), np.array(["", "", ""]))
    schema = agreed(texts)
    assert schema.classes == ()
    train, held = prepare(texts, schema, holdout=0.4, seed=0, client="x")
    assert not train.labels.any()
    assert len(held) == 1
    labelled = Dataset("texts", np.array(["x", "y"]), np.array(["a", "b"]))
    with pytest.raises(DataError, match="Client 'client 1' has rows without labels"):
        agreed(labelled, texts)


@pytest.mark.parametrize(
    ("value", "said"),
    [(np.nan, r"missing: 'b' \(2\), 'c' \(1\)"), (np.inf, r"infinite or too large: 'b' \(2\)")],
)
def test_values_that_are_no_numbers_are_counted(value: float, said: str) -> None:
    rows = np.zeros((5, 3), np.float32)
    rows[1:3, 1] = rows[4, 2] = value
    with pytest.raises(DataError, match=f"Client 'client 0' has values that are {said}"):
        agreed(table(rows))


def test_a_missing_word_is_told_once() -> None:
    rows = [[1, np.nan, np.nan], [2, 0, 1]]
    with pytest.raises(DataError, match=r"missing: 'w' \(1\)\."):
        agreed(table(rows, columns=("n", "w=a", "w=b")))


GOOD = table(np.arange(12).reshape(4, 3))
REFUSED: dict[str, tuple[tuple[Dataset, ...], str]] = {
    "no rows": ((GOOD, table(np.zeros((0, 3)))), "Client 'client 1' has no rows"),
    "one row": ((GOOD, table(np.zeros((1, 3)))), "Client 'client 1' has 1 row; 2 are needed"),
    "one class": ((table(GOOD.inputs, ["x"] * 4),) * 2, "All rows are of one class, 'x'"),
    "fewer columns": ((GOOD, table(np.zeros((4, 2)))), "Client 'client 1' has no column 'c'"),
    "more columns": ((table(np.zeros((4, 2))), GOOD), "has 'c' besides"),
    "other columns": (
        (GOOD, table(GOOD.inputs, columns=("a", "d", "c"))),
        "has no column 'b' and has 'd' besides",
    ),
    "words and numbers": (
        (GOOD, table(GOOD.inputs, columns=("a", "b", "c=x"))),
        "Column 'c' holds words on 'client 1' and numbers on 'client 0'",
    ),
    "kinds": (
        (GOOD, Dataset("texts", np.array(["x", "y"]), np.array(["0", "1"]))),
        "Client 'client 1' has texts, and 'client 0' has a table",
    ),
    "shapes": (
        tuple(
            Dataset("images", np.zeros((2, size, 8, 1), np.float32), np.array(["0", "1"])) for size in (8, 9)
        ),
        "have the shape 9x8x1, and those of 'client 0' 8x8x1",
    ),
    "measured": ((table(np.zeros((50, 3)), np.arange(50) / 7),), "look like measurements"),
    "measured by several": (
        tuple(table(np.zeros((4, 3)), np.arange(4) + 4 * client) for client in range(40)),
        "The labels of all clients look like measurements: 160 different numbers in 160 rows",
    ),
    "named by several": (
        tuple(table(np.zeros((2, 3)), [f"n{client}", f"m{client}"]) for client in range(40)),
        "The labels of all clients look like names",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_learnt_together_is_refused(name: str) -> None:
    datasets, said = REFUSED[name]
    with pytest.raises(DataError) as caught:
        agreed(*datasets)
    assert said in caught.value.message
    assert caught.value.hint


def test_numbers_that_are_classes_are_let_pass() -> None:
    assert len(agreed(table(np.zeros((500, 3)), classes=62)).classes) == 62
    few = [table(np.zeros((40, 3)), (np.arange(40) + 20 * client) % 62) for client in range(30)]
    assert len(agreed(*few).classes) == 62
    assert agreed(table(np.zeros((9, 3)), [0.5, 1.5, 2] * 3)).classes == ("0.5", "1.5", "2.0")


def test_clients_are_there_and_have_names_of_their_own() -> None:
    with pytest.raises(DataError, match="There is no client"):
        agree([])
    with pytest.raises(DataError, match="Several clients are called 'x'"):
        agree([survey("x", GOOD), survey("x", GOOD)])


@pytest.mark.parametrize(
    "change",
    [
        {"sums": (1.0,)},
        {"sums": (float("nan"), 0.0, 0.0)},
        {"squares": (-1.0, 0.0, 0.0)},
        {"squares": (float("inf"), 0.0, 0.0)},
        {"classes": {"0": 2, "1": 1}},
        {"classes": {"0": 5, "1": -1}},
        {"columns": ("a", "a", "b")},
        {"shape": (4,)},
        {"shape": ()},
        {"kind": "images"},
        {"columns": (), "sums": (), "squares": (), "shape": (0,)},
    ],
)
def test_a_survey_that_contradicts_itself_is_refused(change: dict[str, Any]) -> None:
    good = survey("x", GOOD)
    bad = Survey.model_validate({**good.model_dump(), **change})
    with pytest.raises(DataError, match=r"[Cc]lient 'x'"):
        agree([bad])


def test_a_survey_travels_as_json() -> None:
    told = survey("x", GOOD)
    assert agree([Survey.model_validate_json(told.model_dump_json())]) == agree([told])


def test_rows_that_changed_since_are_refused() -> None:
    schema = agreed(GOOD)
    for changed, said in (
        (table(GOOD.inputs, ["0", "1", "0", "7"]), "a class '7'"),
        (table(GOOD.inputs, columns=("a", "b", "d")), "columns 'd'"),
        (table(GOOD.inputs[:, :2]), "no columns 'c'"),
        (Dataset("texts", np.array(["x", "y"]), np.array(["0", "1"])), "texts in place of table"),
        (table(GOOD.inputs[:1]), "has 1 rows"),
    ):
        with pytest.raises(DataError, match=said):
            prepare(changed, schema, holdout=0.5, seed=0, client="x")
    pictures = Dataset("images", np.zeros((4, 8, 8, 1), np.float32), np.array(["a", "b", "a", "b"]))
    with pytest.raises(DataError, match="images of the shape"):
        other = Dataset("images", np.zeros((4, 9, 8, 1), np.float32), pictures.labels)
        prepare(other, agreed(pictures), holdout=0.5, seed=0, client="x")

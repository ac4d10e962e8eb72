"""What holds for each recipe: gradients, FedProx's term, batches, losses, and the same bits each time."""

from __future__ import annotations

import numpy as np
import pytest

from llmasos.federated.dataset import Examples
from llmasos.federated.port import FederatedError
from llmasos.federated.recipes import Work, recipe, shuffled
from llmasos.federated.weights import Weights, weights_sha256
from tests.federated.recipes.samples import NAMES, Sample, sample

# With batch normalisation a row's loss depends on the other rows, and training and evaluation differ.
BY_ROW = [name for name in NAMES if name != "cnn:norm"]


def train(one: Sample, weights: Weights, work: Work, examples: Examples | None = None) -> Weights:
    return one.recipe.train(
        weights, one.examples if examples is None else examples, work, one.schema, one.options
    )[0]


def loss(one: Sample, weights: Weights) -> float:
    return one.recipe.evaluate(weights, one.examples, one.schema, one.options).loss


def double(weights: Weights) -> Weights:
    return {name: array.astype(np.float64) for name, array in weights.items()}


def same(left: Weights, right: Weights) -> bool:
    return weights_sha256(left) == weights_sha256(right)


@pytest.mark.parametrize("mu", [0.0, 0.7])
@pytest.mark.parametrize("name", BY_ROW)
def test_a_step_is_the_gradient_of_the_loss_and_the_proximal_term(name: str, mu: float) -> None:
    one, rate = sample(name), 0.05
    assert one.recipe.proximal
    sent = double(one.initial())
    whole = Work(batch=len(one.examples), learning_rate=rate, proximal=mu)
    # At the first step the proximal term is flat; at the second it is not.
    at = train(one, sent, whole)
    after = train(one, sent, Work(epochs=2, batch=whole.batch, learning_rate=rate, proximal=mu))

    def objective(weights: Weights) -> float:
        apart = sum(float(((weights[key] - sent[key]) ** 2).sum()) for key in sent)
        return loss(one, weights) + mu / 2 * apart

    chance, tiny = np.random.default_rng(5), 1e-5
    for key in sent:
        way = chance.normal(size=sent[key].shape)
        slope = float(((at[key] - after[key]) / rate * way).sum())
        there, back = (objective({**at, key: at[key] + sign * tiny * way}) for sign in (1, -1))
        assert slope == pytest.approx((there - back) / (2 * tiny), rel=1e-5, abs=1e-8), key


@pytest.mark.parametrize("name", BY_ROW)
def test_each_batch_is_a_step_and_the_last_one_may_be_smaller(name: str) -> None:
    one = sample(name)
    weights, work = double(one.initial()), Work(batch=4, seed=9)
    steps = weights
    order = next(shuffled(len(one.examples), work))
    assert len(order) % 4
    for start in range(0, len(order), 4):
        rows = order[start : start + 4]
        part = Examples(one.examples.inputs[rows], one.examples.labels[rows])
        steps = train(one, steps, Work(batch=4), part)
    whole = train(one, weights, work)
    for key in weights:
        np.testing.assert_allclose(whole[key], steps[key], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", BY_ROW)
def test_the_loss_is_the_mean_over_the_rows(name: str) -> None:
    one = sample(name)
    weights = one.initial()
    still = Work(batch=3, learning_rate=1e-12)
    _, told = one.recipe.train(weights, one.examples, still, one.schema, one.options)
    assert told == pytest.approx(loss(one, weights), rel=1e-5)


@pytest.mark.parametrize("name", BY_ROW)
def test_a_rows_loss_does_not_depend_on_the_rows_beside_it(name: str) -> None:
    one = sample(name)
    weights = double(one.initial())
    alone = [
        one.recipe.evaluate(weights, Examples(*rows), one.schema, one.options).loss
        for rows in zip(
            np.split(one.examples.inputs, len(one.examples)),
            np.split(one.examples.labels, len(one.examples)),
            strict=True,
        )
    ]
    assert np.mean(alone) == pytest.approx(loss(one, weights), rel=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_bits(name: str) -> None:
    one = sample(name)
    work = Work(epochs=2, batch=4, proximal=0.1, seed=3)
    first = train(one, one.recipe.initial(one.schema, one.options, 1), work)
    fresh = recipe(one.name)
    again, _ = fresh.train(
        fresh.initial(one.schema, one.options, 1), one.examples, work, one.schema, one.options
    )
    assert same(first, again)
    weights = one.initial()
    assert not same(train(one, weights, work), train(one, weights, Work(epochs=2, batch=4, seed=4)))


@pytest.mark.parametrize("name", NAMES)
def test_what_was_sent_stays_and_what_comes_back_is_alike(name: str) -> None:
    one = sample(name)
    weights = one.initial()
    before = weights_sha256(weights)
    for array in weights.values():
        array.flags.writeable = False
    trained = train(one, weights, Work(batch=3))
    assert weights_sha256(weights) == before
    assert list(trained) == list(weights)
    assert [(array.dtype, array.shape) for array in trained.values()] == [
        (array.dtype, array.shape) for array in weights.values()
    ]
    assert all(array.flags.writeable for array in trained.values())
    assert not same(trained, weights)


@pytest.mark.parametrize("name", NAMES)
def test_training_makes_it_better(name: str) -> None:
    one = sample(name)
    weights = one.recipe.initial(one.schema, one.options, 0)
    before = one.recipe.evaluate(weights, one.examples, one.schema, one.options)
    trained = train(one, weights, Work(epochs=30, batch=4, learning_rate=0.1))
    after = one.recipe.evaluate(trained, one.examples, one.schema, one.options)
    assert after.loss < before.loss
    assert after.accuracy > before.accuracy
    assert 0 <= after.accuracy <= 1


@pytest.mark.parametrize("name", ["mlp", "text", "cnn", "lora"])
def test_no_rows_are_no_traceback(name: str) -> None:
    one = sample(name)
    none = Examples(one.examples.inputs[:0], one.examples.labels[:0])
    weights = one.initial()
    with pytest.raises(FederatedError, match="no rows"):
        train(one, weights, Work(), none)
    with pytest.raises(FederatedError, match="no rows"):
        one.recipe.evaluate(weights, none, one.schema, one.options)


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_what_diverges_is_not_finite_and_no_warning(name: str) -> None:
    one = sample(name)
    far = train(one, one.initial(), Work(epochs=20, batch=2, learning_rate=1e12))
    assert not all(np.isfinite(array).all() for array in far.values())


@pytest.mark.parametrize(("name", "other"), [("mlp", "mlp:images"), ("cnn", "cnn:norm"), ("lora", "mlp")])
def test_weights_of_another_model_are_refused(name: str, other: str) -> None:
    one = sample(name)
    with pytest.raises(FederatedError, match=r"the rows have 4|are not those of"):
        train(one, sample(other).initial(), Work())

"""What was spent, by model and endpoint."""

import pytest

from llmasos.models.engines.port import TokenUsage
from llmasos.models.remote import Spend


def test_expenses_add_up_by_model_and_endpoint() -> None:
    spend = Spend({"a": (2.0, 8.0)})
    assert spend.add("a", "http://one", TokenUsage(input=500_000, output=250_000)) == pytest.approx(3.0)
    spend.add("a", "http://one", TokenUsage(input=500_000))
    spend.add("a", "http://two", TokenUsage(output=1))
    assert spend.add("b", "http://one", TokenUsage(input=7)) is None
    one, two, unpriced = spend.expenses()
    assert (one.requests, one.input, one.output) == (2, 1_000_000, 250_000)
    assert one.cost == pytest.approx(4.0)
    assert (two.endpoint, two.output) == ("http://two", 1)
    assert (unpriced.input, unpriced.cost) == (7, None)


def test_the_total_counts_what_has_a_price() -> None:
    spend = Spend({"large": (2.0, 10.0)})
    assert spend.total() is None
    spend.add("free", "https://a.example", TokenUsage(input=1000, output=1000))
    assert spend.total() is None
    spend.add("large", "https://a.example", TokenUsage(input=1_000_000, output=100_000))
    spend.add("large", "https://b.example", TokenUsage(input=500_000, output=0))
    assert spend.total() == 4.0

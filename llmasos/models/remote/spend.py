"""What remote models were asked for and what it costs."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel

from llmasos.models.engines.port import TokenUsage

_MILLION = 1_000_000


class Expense(BaseModel, frozen=True):
    """What one model at one endpoint was asked for.

    Args:
        model: The model's name.
        endpoint: The endpoint's base URL.
        requests: How often it was asked.
        input: Tokens read.
        output: Tokens written.
        cost: The price of these tokens, in the currency of the prices; None where there is no price.
    """

    model: str
    endpoint: str
    requests: int = 0
    input: int = 0
    output: int = 0
    cost: float | None = None


class Spend:
    """Adds up tokens and their price, by model and endpoint.

    Args:
        prices: The price of a million tokens read and written, by model.
    """

    def __init__(self, prices: Mapping[str, tuple[float, float]] | None = None) -> None:
        self._prices = dict(prices or {})
        self._expenses: dict[tuple[str, str], Expense] = {}

    def add(self, model: str, endpoint: str, usage: TokenUsage) -> float | None:
        """Add one request, and return its price; None where there is none."""
        cost = self.price(model, usage)
        known = self.at(model, endpoint)
        self._expenses[model, endpoint] = Expense(
            model=model,
            endpoint=endpoint,
            requests=known.requests + 1,
            input=known.input + usage.input,
            output=known.output + usage.output,
            cost=None if cost is None else (known.cost or 0.0) + cost,
        )
        return cost

    def price(self, model: str, usage: TokenUsage) -> float | None:
        """Return the price of a request; None where the model has none."""
        if model not in self._prices:
            return None
        read, written = self._prices[model]
        return (usage.input * read + usage.output * written) / _MILLION

    def at(self, model: str, endpoint: str) -> Expense:
        """Return what a model at an endpoint was asked for so far."""
        return self._expenses.get((model, endpoint)) or Expense(model=model, endpoint=endpoint)

    def total(self) -> float | None:
        """Return what was spent so far; None where nothing that was asked has a price."""
        costs = [expense.cost for expense in self._expenses.values() if expense.cost is not None]
        return sum(costs) if costs else None

    def expenses(self) -> tuple[Expense, ...]:
        """Return what was spent so far, by model and endpoint."""
        return tuple(self._expenses.values())

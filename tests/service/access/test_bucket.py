"""Token buckets."""

from hypothesis import given
from hypothesis import strategies as st

from llmasos.service.access.bucket import Bucket


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_minutes_worth_is_there_at_once_and_flows_back() -> None:
    clock = Clock()
    bucket = Bucket(60, clock)
    for _ in range(60):
        assert bucket.wait() == 0
        bucket.take(1)
    assert bucket.wait() == 1.0
    clock.now += 1.0
    assert bucket.wait() == 0
    clock.now += 3600
    assert bucket.level == 60 and bucket.full_in() == 0


def test_debt_is_paid_before_anything_is_given() -> None:
    clock = Clock()
    bucket = Bucket(60, clock)
    bucket.take(90)
    assert bucket.level == -30 and bucket.wait() == 31.0 and bucket.full_in() == 90.0


@given(
    st.integers(1, 1000),
    st.lists(st.tuples(st.floats(0, 100, allow_nan=False), st.integers(1, 50)), max_size=60),
)
def test_never_more_than_the_rate_and_one_burst_is_given(rate: int, steps: list[tuple[float, int]]) -> None:
    clock = Clock()
    bucket = Bucket(rate, clock)
    given_out = 0
    for pause, amount in steps:
        clock.now += pause
        if bucket.wait(amount) == 0:
            bucket.take(amount)
            given_out += amount
        assert given_out <= rate + clock.now * rate / 60 + 1e-6

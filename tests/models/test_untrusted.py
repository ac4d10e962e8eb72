"""JSON from elsewhere."""

import sys
from collections.abc import Iterator

import pytest

from llmasos.models.untrusted import check_depth, read_json


@pytest.fixture
def no_limit() -> Iterator[None]:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(2**20)
    yield
    sys.setrecursionlimit(before)


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":['])
@pytest.mark.usefixtures("no_limit")
def test_deep_nesting_is_refused_and_ends_nothing(opening: str) -> None:
    for text in (opening * 200_000, (opening * 200_000).encode()):
        with pytest.raises(ValueError, match=r"recursion|EOF"):
            read_json(text)


def test_what_models_write_is_read() -> None:
    assert read_json('{"code": "a\nb\tc", "n": 1.5, "t": [true, null]}') == {
        "code": "a\nb\tc",
        "n": 1.5,
        "t": [True, None],
    }
    assert read_json(b'"\xe4\xb8\xad"') == "中"
    for text in ("", "{", "nothing", b"\xff", "[1,]"):
        with pytest.raises(ValueError):
            read_json(text)


def test_the_depth_of_one_value_is_checked_whatever_follows_it() -> None:
    deep = "[" * 101 + "]" * 101
    for text in ("x" + deep[1:-1] + deep, 'x["]", "' + deep + '", [1]]' + deep, "x1" + deep, 'x"\\"' + deep):
        check_depth(text, 1)
    for text in (deep, "{}"[:1] + deep, '["]", ' + deep):
        with pytest.raises(ValueError, match="nested too deeply"):
            check_depth(text, 0)

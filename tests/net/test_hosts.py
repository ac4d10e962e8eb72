"""Hosts have one spelling."""

from __future__ import annotations

import pytest

from llmasos.net.hosts import HostError, as_ascii


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("example.org", "example.org"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("例え.example", "xn--r8jz45g.example"),
    ],
)
def test_a_name_of_any_script_is_looked_up_in_ascii(name: str, found: str) -> None:
    assert as_ascii(name) == found


@pytest.mark.parametrize("name", ["faß.example", "a\u200db.example", "βόλος.example", "ü" * 70 + ".example"])
def test_a_name_that_programs_read_in_two_ways_is_refused(name: str) -> None:
    with pytest.raises(HostError):
        as_ascii(name)

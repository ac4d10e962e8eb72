"""Whatever a URL says, and whatever names and redirects lead to, nothing private is reached."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmasos.errors import LLMasOSError
from llmasos.net import Reach, is_public
from llmasos.net.fetch import Fetcher
from llmasos.net.reach import PORTS
from tests.net.network import PUBLIC, FakeNetwork, http

PRIVATE_NETS = [
    *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10"),
    *("0.0.0.0/8", "192.0.0.0/24", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32"),
]
PRIVATE_6 = [
    "::1",
    "::",
    "fe80::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "2001:db8::1",
    "100::1",
    "fec0::1",
]
PUBLIC_6 = "2606:4700::1111"
V4 = st.one_of(
    st.sampled_from(["127.0.0.1", "169.254.169.254", "0.0.0.0", "10.0.0.1", "100.100.100.200"]),
    st.sampled_from(PRIVATE_NETS)
    .map(ipaddress.IPv4Network)
    .flatmap(lambda net: st.integers(int(net[0]), int(net[-1])))
    .map(lambda number: str(ipaddress.IPv4Address(number))),
)


def parts(address: str) -> list[int]:
    return [int(part) for part in address.split(".")]


def number(address: str) -> int:
    return int(ipaddress.IPv4Address(address))


def wide(text: str, digits: str) -> str:
    return text.translate(dict(zip(map(ord, "0123456789"), digits, strict=True)))


# Ways to write an IPv4 address as the host of a URL.
SPELLINGS: list[Callable[[str], str]] = [
    lambda it: it,
    lambda it: f"{it}.",
    lambda it: str(number(it)),
    lambda it: hex(number(it)),
    lambda it: f"0{number(it):o}",
    lambda it: ".".join(hex(part).upper() for part in parts(it)),
    lambda it: ".".join(f"0{part:o}" for part in parts(it)),
    lambda it: ".".join(f"{part:04d}" for part in parts(it)),
    lambda it: f"{parts(it)[0]}.{number(it) & 0xFFFFFF}",
    lambda it: f"{parts(it)[0]}.{hex(parts(it)[1])}.{number(it) & 0xFFFF}",
    lambda it: ".".join(str(part + 256) for part in parts(it)),
    lambda it: f"[::ffff:{it}]",
    lambda it: f"[::ffff:{number(it) >> 16:x}:{number(it) & 0xFFFF:x}]",
    lambda it: f"[0:0:0:0:0:FFFF:{it}]",
    lambda it: f"[::{it}]",
    lambda it: f"[64:ff9b::{it}]",
    lambda it: f"[64:ff9b:1::{it}]",
    lambda it: f"[2002:{number(it) >> 16:x}:{number(it) & 0xFFFF:x}::1]",
    lambda it: f"[2001:0:{number(it) >> 16:x}:{number(it) & 0xFFFF:x}::]",
    lambda it: f"[2606:4700::5efe:{it}]",
    lambda it: f"[fe80::{it}%25lo]",
    lambda it: f"[::ffff:{it}%lo]",
    lambda it: f"[v1.{it}]",
    lambda it: wide(it, "０１２３４５６７８９"),
    lambda it: wide(it, "𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗"),
    lambda it: wide(it, "⓪①②③④⑤⑥⑦⑧⑨"),
    lambda it: it.replace(".", "。"),
    lambda it: it.replace(".", "．"),
    lambda it: it.replace(".", "｡"),
    lambda it: it.replace(".", "\u2024"),
    lambda it: it.replace(".", "%2e"),
    lambda it: "".join(f"%{ord(char):02x}" for char in it),
    lambda it: f"\u00ad{it}",
    lambda it: f"{it}\u200b",
    lambda it: f"{it.replace('.', '-')}.private.test",
    lambda it: "LOCALHOST",
    lambda it: "localhost.",
    lambda it: "ⓛocalhost",
    lambda it: "both.test",
    lambda it: "second.test",
]
# Ways to put a host, and another one that is public, into a URL.
SHAPES: list[Callable[[str, str], str]] = [
    *[
        lambda it, path, scheme=scheme: f"{scheme}://{it}{path}"
        for scheme in ("http", "https", "HTTP", "ftp", "ws")
    ],
    *[
        lambda it, path, port=port: f"http://{it}:{port}{path}"
        for port in ("80", "0443", "22", "8080", "00", "")
    ],
    lambda it, path: f"http://open.test@{it}{path}",
    lambda it, path: f"http://open.test:80@{it}:80{path}",
    lambda it, path: f"http://{it}@open.test{path}",
    lambda it, path: f"http://open.test%40{it}{path}",
    lambda it, path: f"http://open.test\\@{it}{path}",
    lambda it, path: f"http://{it}\\@open.test{path}",
    lambda it, path: f"http://open.test#@{it}{path}",
    lambda it, path: f"http://open.test?@{it}{path}",
    lambda it, path: f"http://{it}#@open.test{path}",
    lambda it, path: f"http:\\\\{it}{path}",
    lambda it, path: f"http:{it}{path}",
    lambda it, path: f"http:/{it}{path}",
    lambda it, path: f"http:///{it}{path}",
    lambda it, path: f"////{it}{path}",
    lambda it, path: f"//{it}{path}",
    lambda it, path: f" http://{it}{path}",
    lambda it, path: f"ht\ntp://{it}{path}",
    lambda it, path: f"http://\t{it}{path}",
    lambda it, path: f"http://{it}\r\nHost: {it}{path}",
    lambda it, path: f"http://open.test {it}{path}",
    lambda it, path: f"http://{it}\0.open.test{path}",
    lambda it, path: f"http://{it},open.test{path}",
    lambda it, path: f"http://{it};open.test{path}",
    lambda it, path: f"http://open.test:80:{it}{path}",
]
HOSTS = st.one_of(
    st.builds(lambda spell, address: spell(address), st.sampled_from(SPELLINGS), V4),
    st.sampled_from(PRIVATE_6).map(lambda it: f"[{it}]"),
    st.sampled_from(["open.test", "rebound.test", f"[{PUBLIC_6}]", PUBLIC]),
)
URLS = st.builds(lambda shape, host: lambda path: shape(host, path), st.sampled_from(SHAPES), HOSTS)
ADDRESSES = st.one_of(
    st.just(PUBLIC), V4, st.sampled_from([*PRIVATE_6, PUBLIC, PUBLIC_6, "fe80::1%lo", "nonsense", ""])
)
ANSWERS = st.lists(st.lists(ADDRESSES, max_size=3), min_size=1, max_size=4)


def fetch(network: FakeNetwork, urls: Sequence[str]) -> None:
    """Fetch all of these, one after the other, and see where that led."""

    async def run() -> None:
        async with Fetcher(resolver=network.resolve, backend=network) as web:
            for url in urls:
                try:
                    await web.get(url)
                except LLMasOSError as error:
                    assert error.message.isprintable() and error.hint

    anyio.run(run)
    for host, port in network.reached:
        assert is_public(host) and port in PORTS, (host, port)


def names(answers: Sequence[Sequence[str]]) -> dict[str, Sequence[Sequence[str]]]:
    private = {
        f"{address.replace('.', '-')}.private.test": [[address]] for address in ("127.0.0.1", "10.0.0.1")
    }
    return {
        **private,
        **{"localhost": [["127.0.0.1"]], "both.test": [[PUBLIC, "127.0.0.1"]]},
        **{"second.test": [["127.0.0.1", PUBLIC]], "rebound.test": answers},
    }


@settings(max_examples=400, deadline=None)
@given(url=URLS, answers=ANSWERS)
def test_no_spelling_leads_inside(url: Callable[[str], str], answers: list[list[str]]) -> None:
    fetch(FakeNetwork(names(answers)), [url("/"), url("/again")])


@settings(max_examples=200, deadline=None)
@given(chain=st.lists(URLS, min_size=1, max_size=5), answers=ANSWERS)
def test_no_redirect_leads_inside(chain: list[Callable[[str], str]], answers: list[list[str]]) -> None:
    def answer(path: str) -> bytes:
        step = int(path.strip("/") or "0") if path.strip("/").isdecimal() else len(chain)
        if step >= len(chain):
            return http()
        location = chain[step](f"/{step + 1}").replace("\r\n", " ")
        return http("302 Found", Location=location)

    network = FakeNetwork(names(answers), answer)
    fetch(network, ["http://open.test/0"])
    assert network.reached[0] == (PUBLIC, 80)


@settings(max_examples=150, deadline=None)
@given(answers=ANSWERS, count=st.integers(1, 4), down=st.booleans())
def test_no_answer_of_a_resolver_leads_inside(answers: list[list[str]], count: int, down: bool) -> None:
    network = FakeNetwork({"rebound.test": answers}, lambda path: http(Connection="close"), down=down)
    fetch(network, ["http://rebound.test/"] * count)
    # A name is asked for once for each connection, so that what was checked is what is connected to.
    assert len(network.asked) == count


@settings(max_examples=300, deadline=None)
@given(V4, st.sampled_from(SPELLINGS[:23]))
def test_no_address_inside_is_public(address: str, spell: Callable[[str], str]) -> None:
    assert not is_public(address)
    with pytest.raises(LLMasOSError):
        Reach().foreign(spell(address).strip("[]"), 80)

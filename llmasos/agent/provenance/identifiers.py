"""Links, addresses, hosts, accounts and paths inside a text."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from llmasos.decisions import Identifier

_LINK = re.compile(r"\b[a-zA-Z][a-zA-Z0-9+.-]{1,20}://[^\s\"'<>`|;)\]}]+")
_ADDRESS = re.compile(r"(?<![\w.+%-])[\w.+%-]+@[\w-]+(?:\.[\w-]+)*")
_HOST = re.compile(r"(?<![\w@/.-])(?:[^\W_](?:[\w-]*[^\W_])?\.)+[^\W\d_][\w-]*[^\W_](?![\w@(])")
_NUMERIC_HOST = re.compile(
    r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\w|\.\d)|(?<![\w:])(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{0,4}(?![\w:])"
)
# Addresses of chains, IBANs, cards, telephone numbers, and long numbers.
_CHAIN = re.compile(r"\b0x[0-9a-fA-F]{16,}\b|\bbc1[a-z0-9]{25,60}\b|\b[13][1-9A-HJ-NP-Za-km-z]{25,34}\b")
_IBAN = re.compile(r"\b[A-Za-z]{2}\d{2}(?:[ \u00a0-]?[A-Za-z0-9]{4}){2,7}(?:[ \u00a0-]?[A-Za-z0-9]{1,3})?\b")
_CARD = re.compile(r"(?<![\w.])\d{4}([ .\u00a0-])(?:\d{4}\1\d{4}(?:\1\d{1,4})?|\d{6}\1\d{5})(?!\w)")
_PHONE = re.compile(
    r"(?<!\w)\+\d(?:[ ()/.\u00a0-]{0,2}\d){6,14}(?!\w)"
    r"|(?<!\w)(?:\(\d{2,5}\)|0\d{2,4}[ /-])(?:[ /.-]?\d){5,10}(?!\w)"
    r"|(?<![\w.-])\d{3}[.-]\d{3}[.-]\d{4}(?![\w.-])"
)
_NUMBER = re.compile(r"(?<![\w.,-])\d{8,}(?![\w-]|[.,]\d)")
_DATE = re.compile(r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])(?:\d{4,6})?")
_ACCOUNTS = (_CHAIN, _IBAN, _CARD, _PHONE, _NUMBER)
_LONG_NUMBER = 10
_PATH = re.compile(
    r"(?<![\w.@+/~-])(?:(?:~|\.{1,2})/(?:[\w.@+-]+/?)+|(?:/[\w.@+-]+)+/?|[\w.@+-]+(?:/[\w.@+-]+)+"
    r"|[\w@+-][\w.@+-]*\.[A-Za-z]\w{0,9})"
)
_LONGEST = 400
_LITERAL = re.compile(r"\"\"\".*?\"\"\"|'''.*?'''|\"[^\"\n]*\"|'[^'\n]*'", re.DOTALL)
# Names that end like this are files when nothing else says that they are hosts.
_FILES = re.compile(
    r"bak|bat|bin|c|cc|cfg|conf|cpp|cs|css|csv|db|diff|doc|docx|exe|gif|go|gz|h|hpp|html|htm|ini|ipynb|"
    r"java|jpeg|jpg|js|json|jsonl|jsx|log|lock|md|mjs|mp3|mp4|odt|out|patch|pdf|php|png|ppt|pptx|ps1|py|"
    r"pyc|rb|rs|rst|rtf|sh|so|sql|sqlite|svg|tar|tex|tgz|toml|ts|tsv|tsx|txt|wav|xls|xlsx|xml|yaml|yml|zip"
)
# In prose, a dot without a blank behind it is more often a slip, or code, than a host: the ending decides.
_DOMAINS = re.compile(
    r"academy|agency|app|art|biz|blog|bot|business|cash|center|chat|click|cloud|club|com|community|"
    r"company|consulting|cyou|design|dev|digital|download|edu|email|energy|example|exchange|expert|"
    r"finance|fit|fun|games|global|gov|group|guru|help|icu|info|internal|international|invalid|"
    r"jobs|land|life|live|local|lol|loan|marketing|media|men|mil|mobi|money|net|network|news|"
    r"ninja|online|onion|org|party|photos|pics|plus|press|pro|quest|racing|red|rest|review|"
    r"rocks|sale|science|security|services|shop|site|social|software|solutions|space|store|stream|"
    r"studio|support|surf|systems|team|tech|tips|today|tools|top|trade|travel|uno|vip|wang|web|"
    r"website|wiki|win|works|world|wtf|xin|xyz|zone"
)
# Second labels that strangers share below the endings of countries.
_SHARED = (["ac"], ["co"], ["com"], ["edu"], ["go"], ["gov"], ["ne"], ["net"], ["or"], ["org"])


@dataclass(frozen=True, slots=True)
class Found:
    """Something that a text names.

    Args:
        kind: What kind of a thing it is.
        text: It, as the text has it.
        forms: How it may be written elsewhere.
    """

    kind: Identifier
    text: str
    forms: tuple[str, ...]


def identifiers(text: str, language: str = "") -> Iterator[Found]:
    """Give the links, addresses, hosts, accounts and paths that a text names.

    Args:
        text: The text.
        language: The language of code: names stand in the literals of `python`, and are words of `bash`.
            Prose names no paths, and hosts only with endings that are known.
    """
    prose = not language and bool(re.search(r"\s", text.strip()))
    if "://" in text:
        for match in _LINK.finditer(text):
            link = match[0].rstrip(".,:!?*_")
            yield Found("link", link, (link.partition("://")[2].rstrip("/"),))
            yield from _hosts(_authority(link))
        text = _LINK.sub(" ", text)
    yield from _accounts(text)
    if language == "python":
        text = "\n".join(_LITERAL.findall(text))
    if "@" in text:
        for match in _ADDRESS.finditer(text):
            address = match[0].rstrip(".-")
            yield Found("address", address, (address, _spelled(address)))
            if "." in address.partition("@")[2]:
                yield from _hosts(address.partition("@")[2])
        text = _ADDRESS.sub(" ", text)
    if "." in text:
        for match in _HOST.finditer(text):
            if not _is_file(match[0]) and (not prose or _in_domain(match[0])):
                yield from _hosts(match[0])
    for match in _NUMERIC_HOST.finditer(text):
        if _number(match[0]):
            yield from _hosts(match[0])
    if not prose:
        for match in _PATH.finditer(text):
            if not _HOST.fullmatch(match[0]) or _is_file(match[0]):
                yield Found("path", match[0], (match[0],))


def _accounts(text: str) -> Iterator[Found]:
    for pattern in _ACCOUNTS if any(map(str.isdigit, text)) else ():
        for match in pattern.finditer(text):
            account = match[0].strip()
            if not _is_account(pattern, account, alone=len(account) == len(text.strip())):
                continue
            last = re.split(r"[ \u00a0-]", account)[-1]
            # The last group may be a word that stands behind it.
            forms = [account, account.removesuffix(last)][: 1 + (last.isalpha() and last != account)]
            yield Found("account", account, tuple(re.sub(r"[\W_]", "", form) for form in forms))


def _is_account(pattern: re.Pattern[str], account: str, *, alone: bool) -> bool:
    """Whether it is no hash, word, size or date that only has the form of an account."""
    if pattern is _CHAIN:
        return account[0] not in "13" or not (account.islower() or account.isdigit())
    if pattern is _IBAN:
        return sum(map(str.isdigit, account)) >= 8
    if pattern is _NUMBER:
        return not _DATE.fullmatch(account) and (alone or len(account) >= _LONG_NUMBER)
    return True


def identified(value: str) -> Identifier | Literal[""]:
    """Return what kind of a thing a value names, when it names one thing and nothing else."""
    value = value.strip()
    if len(value) > _LONGEST:
        return ""
    return next((found.kind for found in identifiers(value) if found.text == value), "")


def _is_file(name: str) -> bool:
    return _FILES.fullmatch(name.rpartition(".")[2].lower()) is not None


def _in_domain(name: str) -> bool:
    ending = name.rpartition(".")[2].lower()
    return len(ending) == 2 or not ending.isascii() or _DOMAINS.fullmatch(ending) is not None


def _authority(link: str) -> str:
    """Return the host of a link; empty when there is none."""
    with suppress(ValueError):
        return urlsplit(link.replace("\\", "/")).hostname or ""
    return ""


def _hosts(host: str) -> Iterator[Found]:
    """Give a host and the domains that it lies in, but for those that strangers share."""
    host = host.strip(".").lower()
    if not host:
        return
    if number := _number(host):
        forms = (host, str(number), str(int(number)), hex(int(number)))
        yield Found("host", host, tuple(dict.fromkeys(forms)))
        return
    if "xn--" in host:
        with suppress(UnicodeError):
            host = host.encode().decode("idna")
    yield Found("host", host, (host, _spelled(host)))
    labels = host.split(".")
    for start in range(1, len(labels) - 1 - (labels[-2:-1] in _SHARED and len(labels[-1]) == 2)):
        domain = ".".join(labels[start:])
        yield Found("host", domain, (domain, _spelled(domain)))


def _spelled(name: str) -> str:
    return name.replace("@", " at ").replace(".", " dot ")


def _number(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address that a host is, also when it is written as one number, or in another base."""
    with suppress(ValueError):
        return ipaddress.ip_address(host)
    if re.fullmatch(r"[0-9a-fx.]*[0-9][0-9a-fx.]*", host, re.IGNORECASE):
        with suppress(OSError):
            return ipaddress.IPv4Address(socket.inet_aton(host))
    return None

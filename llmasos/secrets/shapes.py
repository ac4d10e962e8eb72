"""The shapes of secrets: what tokens, keys and passwords look like, whoever issued them.

Every search is linear in the length of the text: a pattern is tried only where its first letters stand, a run
of characters is taken once, and never given back.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from llmasos.secrets.randomness import COMMON, looks_random

Check = Callable[[re.Match[str], str], bool]

# What a secret is called, as the last part of a name.
NAMES = (
    r"(?:pass(?:word|wd|phrase)|pwd|secrets?|tokens?|credentials?|authorization|bearer"
    r"|(?:api|access|auth|account|private|secret|signing|encryption|client|session|shared|master)[_-]?keys?)"
)
_NAME_STARTS = (
    *(
        "pass",
        "pwd",
        "secret",
        "token",
        "credential",
        "auth",
        "bearer",
        "api",
        "access",
        "account",
        "private",
    ),
    *("signing", "encryption", "client", "session", "shared", "master"),
)
# Between a name and its value: `password = "`, `"token": "`, `:secret => '`.
_ASSIGNED = r"""(?:\\?["'])?[ \t]{0,8}(?:=>|:=|==|[:=])[ \t]{0,8}(?:[a-z]{0,2}\\?["'`])?"""
# Not a marker, and not where a template puts the secret.
_MARKED = r"(?!\[redacted:|[<$%{(*])"
_VALUE = r"""[^\s"'`,;&<>\\(){}\[\]]{8,}+"""
_PEM = (
    r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:(?:[^-]++|-(?!----))*+-----END (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
    r"|(?:\\[nr]|[A-Za-z0-9+/=\s])*+)"
)
_JWT = (
    r"(?<![A-Za-z0-9_.-])eyJ[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]{4,}+\.[A-Za-z0-9_-]*+"
    r"(?:\.[A-Za-z0-9_-]++){0,2}"
)
_HEX = re.compile(r"(?<![A-Za-z0-9])(?:0x)?[0-9a-fA-F]{32,}+(?![A-Za-z0-9])")
_HEX_NAMED = re.compile(rf"{NAMES}[\w.-]{{0,20}}{_ASSIGNED}\Z", re.IGNORECASE)
_KEY_NAMED = re.compile(rf"{NAMES}|key|seed|wallet|\bpk\b", re.IGNORECASE)
_HASHED = re.compile(
    r"hash|tx|transaction|block|root|digest|topic|sha\d|commit|receipt|keccak|checksum|salt|proof|leaf|head"
    r"|state|parent|bytes32|constant|slot|nonce|signature|bloom|public|\bid\b",
    re.IGNORECASE,
)
_NEAR = 80


@dataclass(frozen=True)
class Shape:
    """One kind of secret.

    Args:
        kind: What it is called where it was.
        starts: How matches of the pattern begin, in lower case.
        pattern: The secret itself is the group `secret`, or the whole match.
        check: Tells of a match and its secret whether it is one; everything is by default.
        within: The starts are texts within a match instead, so rare that only their absence counts.
    """

    kind: str
    starts: tuple[str, ...]
    pattern: re.Pattern[str]
    check: Check | None = None
    within: bool = False

    def find(self, text: str, low: str) -> Iterator[Found]:
        """Yield such secrets in a text, which is also given in lower case."""
        group = "secret" if "secret" in self.pattern.groupindex else 0
        for match in self.pattern.finditer(text) if self.within else self._matches(text, low):
            if self.check is None or self.check(match, match[group]):
                yield Found(*match.span(group), self.kind)

    def _matches(self, text: str, low: str) -> Iterator[re.Match[str]]:
        places = [place for start in self.starts for place in _places(low, start)]
        end = 0
        for place in sorted(places) if len(self.starts) > 1 else places:
            if place >= end and (match := self.pattern.match(text, place)):
                yield match
                end = match.end()


@dataclass(frozen=True, order=True)
class Found:
    """A secret in a text: from `start` to before `end`; `secret` where it is written in another way there."""

    start: int
    end: int
    kind: str
    secret: str = ""


def find(text: str) -> Iterator[Found]:
    """Yield the secrets in a text by their shapes; they may overlap."""
    low = text.lower()
    if len(low) != len(text):
        # A few letters have a lower case of several characters.
        low = "".join(char.lower() if char.isascii() else char for char in text)
    for place in sorted({place for start, places in _BY_START.items() if start in low for place in places}):
        yield from SHAPES[place].find(text, low)
    yield from _hexadecimal(text)


def _places(text: str, start: str) -> Iterator[int]:
    place = text.find(start)
    while place >= 0:
        yield place
        place = text.find(start, place + 1)


def _hexadecimal(text: str) -> Iterator[Found]:
    """Yield keys that are nothing but hexadecimal digits, as hashes are: what is before them tells."""
    for match in _HEX.finditer(text):
        digits = match[0].lower().removeprefix("0x")
        if len(digits) not in (32, 40, 64) or len(set(digits)) < 6:
            continue
        before = text[max(0, match.start() - _NEAR) : match.start()].rpartition("\n")[2]
        if len(digits) < 64:
            if _HEX_NAMED.search(before):
                yield Found(*match.span(), "token")
        elif not _HASHED.search(before) and (digits != match[0].lower() or _KEY_NAMED.search(before)):
            yield Found(*match.span(), "ethereum-key")


def _token(kind: str, starts: str, pattern: str, *, within: bool = False) -> Shape:
    """Return the shape of a token that stands by itself."""
    whole = rf"(?<![A-Za-z0-9_-])(?:{pattern})(?![A-Za-z0-9_-])"
    return Shape(kind, tuple(starts.split()), re.compile(whole), within=within)


def _after(kind: str, starts: tuple[str, ...], before: str, secret: str, check: Check | None = None) -> Shape:
    """Return the shape of a secret that is known by what stands before it, in whatever case."""
    return Shape(kind, starts, re.compile(f"{before}(?P<secret>{_MARKED}{secret})", re.IGNORECASE), check)


def _is_jwt(match: re.Match[str], token: str) -> bool:
    try:
        return all(_decoded(part).lstrip().startswith(b"{") for part in token.split(".")[:2])
    except ValueError:
        return False


def _is_basic(match: re.Match[str], value: str) -> bool:
    try:
        return b":" in _decoded(value)
    except ValueError:
        return False


def _decoded(part: str) -> bytes:
    part = part.rstrip("=").replace("+", "-").replace("/", "_")
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _is_random(match: re.Match[str], value: str) -> bool:
    return looks_random(value)


def _is_uncommon(match: re.Match[str], value: str) -> bool:
    return value.lower() not in COMMON


def _has_digits(match: re.Match[str], value: str) -> bool:
    return any(map(str.isdigit, value))


SHAPES: tuple[Shape, ...] = (
    Shape("private-key", ("-----begin",), re.compile(_PEM)),
    _token("aws-key-id", "akia asia abia acca", r"A(?:KIA|SIA|BIA|CCA)[A-Z0-9]{16}"),
    _after(
        "aws-secret",
        ("aws",),
        rf"aws[\w.-]{{0,30}}?(?:secret|sk)[\w.-]{{0,30}}{_ASSIGNED}",
        r"[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])",
    ),
    _token(
        "github-token",
        "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_",
        r"gh[pousr]_[A-Za-z0-9]{36,}+|github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{40,}+",
    ),
    _token(
        "gitlab-token",
        "glpat- gldt- glrt- glptt- glcbt- glsoat- glft- glagent-",
        r"gl(?:pat|dt|rt|ptt|cbt|soat|ft|agent)-[A-Za-z0-9_-]{20,}+(?:\.[A-Za-z0-9_-]++)*+",
    ),
    _token("anthropic-key", "sk-ant-", r"sk-ant-[A-Za-z0-9_-]{20,}+"),
    _token("llmasos-key", "sk-llmasos-", r"sk-llmasos-[0-9a-f]{10}-[A-Za-z0-9_-]{43}"),
    _token(
        "openai-key",
        "sk-",
        r"sk-(?:proj|svcacct|admin|None|or-v1)-[A-Za-z0-9_-]{20,}+|sk-[A-Za-z0-9]{32,}+",
    ),
    _token("hugging-face-token", "hf_ api_org_", r"(?:hf_|api_org_)[A-Za-z0-9]{30,}+"),
    _token("google-key", "aiza", r"AIza[A-Za-z0-9_-]{35}"),
    _token("google-secret", "gocspx-", r"GOCSPX-[A-Za-z0-9_-]{20,}+"),
    _token("google-token", "ya29. 1//0", r"ya29\.[A-Za-z0-9_-]{20,}+|1//0[A-Za-z0-9_-]{30,}+"),
    _token(
        "slack-token", "xox xapp-", r"xox[abceoprs](?:\.xox[bp])?-[A-Za-z0-9-]{10,}+|xapp-[A-Za-z0-9-]{20,}+"
    ),
    _after(
        "webhook",
        ("hooks.slack.com/",),
        r"hooks\.slack\.com/(?:services|workflows|triggers)/",
        r"[A-Za-z0-9_/+-]{20,}+",
    ),
    _after("webhook", ("/webhooks/",), r"/webhooks/", r"[0-9]{10,}+/[A-Za-z0-9_-]{20,}+"),
    _token(
        "stripe-key",
        "sk_ rk_ pk_ whsec_",
        r"[srp]k_(?:live|test)_[A-Za-z0-9]{16,}+|whsec_[A-Za-z0-9_+/]{24,}+",
    ),
    _token("npm-token", "npm_", r"npm_[A-Za-z0-9]{36}"),
    _token("pypi-token", "pypi-", r"pypi-AgE[A-Za-z0-9_-]{40,}+"),
    _token("sendgrid-key", "sg.", r"SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{32,}+"),
    _token("twilio-key", "sk ac", r"(?:SK|AC)[0-9a-f]{32}"),
    _token("telegram-token", ":aa", r"[0-9]{8,10}:AA[A-Za-z0-9_-]{33}", within=True),
    _token(
        "discord-token",
        ".",
        r"mfa\.[A-Za-z0-9_-]{80,}+"
        r"|[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,40}",
        within=True,
    ),
    _token("digitalocean-token", "dop_v1_ doo_v1_ dor_v1_", r"do[opr]_v1_[0-9a-f]{64}"),
    _token("shopify-token", "shpat_ shpca_ shppa_ shpss_", r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}"),
    _token("mailgun-key", "key-", r"key-[0-9a-f]{32}"),
    _token("mailchimp-key", "-us", r"[0-9a-f]{32}-us[0-9]{1,2}", within=True),
    _token("databricks-token", "dapi", r"dapi[0-9a-f]{32}(?:-[0-9])?"),
    _token("grafana-token", "glsa_ glc_", r"glsa_[A-Za-z0-9]{32}_[0-9a-f]{8}|glc_[A-Za-z0-9+/]{32,}+={0,2}"),
    _token("vault-token", "hvs. hvb. hvr.", r"hv[sbr]\.[A-Za-z0-9_-]{24,}+"),
    _token("groq-key", "gsk_", r"gsk_[A-Za-z0-9]{40,}+"),
    _token("replicate-token", "r8_", r"r8_[A-Za-z0-9]{37,}+"),
    _token("xai-key", "xai-", r"xai-[A-Za-z0-9]{40,}+"),
    _token("perplexity-key", "pplx-", r"pplx-[A-Za-z0-9]{32,}+"),
    _token("nvidia-key", "nvapi-", r"nvapi-[A-Za-z0-9_-]{40,}+"),
    _token("linear-key", "lin_", r"lin_(?:api|oauth)_[A-Za-z0-9]{32,}+"),
    _token("notion-token", "ntn_ secret_", r"(?:ntn_|secret_)[A-Za-z0-9]{40,}+"),
    _token("docker-token", "dckr_", r"dckr_[po]at_[A-Za-z0-9_-]{20,}+"),
    _token("terraform-token", ".atlasv1.", r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,}+", within=True),
    _token("doppler-token", "dp.", r"dp\.(?:pt|st|ct|sa|scim|audit)\.(?:[\w-]{2,35}\.)?[A-Za-z0-9]{40,44}"),
    _token("age-key", "age-secret-key-", r"AGE-SECRET-KEY-1[A-Z0-9]{58}"),
    _token("square-token", "sq0 eaaa", r"sq0(?:atp|csp|idp)-[\w-]{22,43}|EAAA[\w-]{60}"),
    _token("atlassian-token", "atatt3", r"ATATT3[A-Za-z0-9_=-]{100,}+"),
    _token("new-relic-key", "nrak-", r"NRAK-[A-Z0-9]{27}"),
    _token("postman-key", "pmak-", r"PMAK-[0-9a-f]{24}-[0-9a-f]{34}"),
    Shape("jwt", ("eyj",), re.compile(_JWT), _is_jwt),
    _after(
        "azure-key",
        ("accountkey=", "sharedaccess", "sig="),
        r"(?:AccountKey|SharedAccessKey|SharedAccessSignature|(?<=[?&])sig)=",
        r"[A-Za-z0-9+/=%~._-]{20,}+",
    ),
    _after("password", ("://",), r"://[^\s:/@'\"]{0,100}+:", r"[^\s/@'\"]{5,200}+(?=@)", _is_uncommon),
    _after("token", ("://",), r"://", r"[A-Za-z0-9_.~%-]{20,200}+(?=@)", _is_random),
    _after("token", ("bearer",), r"bearer[ \t]{1,8}", r"[A-Za-z0-9_.~+/-]{16,}+=*+", _has_digits),
    _after("password", ("basic",), r"basic[ \t]{1,8}", r"[A-Za-z0-9+/_-]{8,}+=*+", _is_basic),
    _after("npm-token", ("_auth",), r"_auth(?:token)?[ \t]{0,8}=[ \t]{0,8}[\"']?", r"[^\s\"']{8,}+"),
    _after("password", ("login",), r"login\s{1,8}\S{1,200}\s{1,8}password\s{1,8}", r"[^\s\"'\\]{4,}+"),
    _after("password", ("--pass",), r"--pass(?:word|wd|phrase)?[ \t]{1,4}[\"']?", r"[^\s\"'-][^\s\"']{7,}+"),
    _after("secret", _NAME_STARTS, rf"{NAMES}[\w.-]{{0,20}}{_ASSIGNED}", _VALUE, _is_random),
)
_BY_START = {
    start: [place for place, shape in enumerate(SHAPES) if start in shape.starts]
    for start in dict.fromkeys(start for shape in SHAPES for start in shape.starts)
}
KINDS = frozenset({*(shape.kind for shape in SHAPES), "ethereum-key"})

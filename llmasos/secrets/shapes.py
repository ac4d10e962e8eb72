"""The shapes of secrets: what tokens, keys and passwords look like, whoever issued them.

Every search is linear in the length of the text: a pattern begins where a run of its characters begins, and
never gives back what it took.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from llmasos.secrets.randomness import looks_random

_START = r"(?<![A-Za-z0-9_-])"
_END = r"(?![A-Za-z0-9_-])"
_PEM = (
    r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:(?:[^-]++|-(?!----))*+-----END (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
    r"|[A-Za-z0-9+/=\s\\]*+)"
)
# What a secret is called, as the last part of a name.
NAMES = (
    r"(?:pass(?:word|wd|phrase)|pwd|secrets?|tokens?|credentials?|authorization|bearer"
    r"|(?:api|access|auth|account|private|secret|signing|encryption|client|session|shared|master)[_-]?keys?)"
)
# Between a name and its value: `password = "`, `"token": "`, `:secret=>'`, `--api-key `.
_ASSIGNED = r"""(?:\\?["'])?[ \t]{0,8}(?:=>|:=|==|[:=])[ \t]{0,8}(?:[a-z]{0,2}\\?["'`])?"""
_MARKED = r"(?!\[redacted:|[<$%{(*])"


Check = Callable[[re.Match[str], str], bool]


def _always(match: re.Match[str], secret: str) -> bool:
    return True


@dataclass(frozen=True)
class Shape:
    """One kind of secret.

    Args:
        kind: What it is called where it was.
        hints: Texts of which one is in every such secret or just before it, in lower case.
        pattern: The secret itself is the group `secret`, or the whole match.
        check: Tells of a match and its secret whether it is one; everything is by default.
    """

    kind: str
    hints: tuple[str, ...]
    pattern: re.Pattern[str]
    check: Check = _always


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
    for shape in SHAPES:
        if not any(hint in low for hint in shape.hints):
            continue
        for match in shape.pattern.finditer(text):
            group = "secret" if "secret" in shape.pattern.groupindex else 0
            if shape.check(match, match[group]):
                yield Found(*match.span(group), shape.kind)


def _token(kind: str, hint: str | tuple[str, ...], pattern: str) -> Shape:
    """Return the shape of a token that stands by itself and begins in a way of its own."""
    hints = (hint,) if isinstance(hint, str) else hint
    return Shape(kind, tuple(each.lower() for each in hints), re.compile(f"{_START}(?:{pattern}){_END}"))


def _after(
    kind: str,
    hint: str | tuple[str, ...],
    before: str,
    secret: str,
    check: Check = _always,
    after: str = "",
) -> Shape:
    """Return the shape of a secret that is known by what stands before it, in whatever case."""
    hints = (hint,) if isinstance(hint, str) else hint
    pattern = re.compile(f"{before}(?P<secret>{_MARKED}{secret}){after}", re.IGNORECASE)
    return Shape(kind, hints, pattern, check)


def _is_jwt(match: re.Match[str], token: str) -> bool:
    try:
        return all(_decoded(part).startswith(b"{") for part in token.split(".")[:2])
    except ValueError:
        return False


def _is_basic(match: re.Match[str], value: str) -> bool:
    try:
        return b":" in _decoded(value)
    except ValueError:
        return False


def _decoded(part: str) -> bytes:
    part = part.rstrip("=")
    return base64.urlsafe_b64decode(part.replace("+", "-").replace("/", "_") + "=" * (-len(part) % 4))


def _is_random(match: re.Match[str], value: str) -> bool:
    return looks_random(value)


def _is_varied(match: re.Match[str], value: str) -> bool:
    return len(set(value.lower().removeprefix("0x"))) > 4


def _has_digits(match: re.Match[str], value: str) -> bool:
    return any(map(str.isdigit, value))


def _is_no_hash(match: re.Match[str], value: str) -> bool:
    line = match.string[max(0, match.start() - _NEAR) : match.start()].rpartition("\n")[2]
    return _is_varied(match, value) and not _HASHED.search(line)


_VALUE = r"""[^\s"'`,;&<>\\(){}\[\]]{8,}+"""
_NEAR = 100
_HASHED = re.compile(
    r"hash|tx|transaction|block|root|digest|topic|sha\d|commit|receipt|keccak|checksum|salt|proof|leaf|head|state"
    r"|parent|bytes32|constant|slot|nonce|signature|bloom|id\b",
    re.IGNORECASE,
)
_CONTEXT = ("pass", "pwd", "secret", "token", "credential", "key", "auth", "bearer", "seed", "wallet")

SHAPES: tuple[Shape, ...] = (
    Shape("private-key", ("private key",), re.compile(_PEM)),
    _token("aws-key-id", ("akia", "asia", "abia", "acca"), r"A(?:KIA|SIA|BIA|CCA)[A-Z2-7]{16}"),
    _after(
        "aws-secret",
        "aws",
        rf"aws[\w.-]{{0,30}}?(?:secret|sk)[\w.-]{{0,30}}{_ASSIGNED}",
        r"[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])",
    ),
    _token(
        "github-token",
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
        r"gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{40,100}",
    ),
    _token(
        "gitlab-token",
        ("glpat-", "gldt-", "glrt-", "glptt-", "glcbt-", "glsoat-"),
        r"gl(?:pat|dt|rt|ptt|cbt|soat)-[A-Za-z0-9_.-]{20,}+",
    ),
    _token("anthropic-key", "sk-ant-", r"sk-ant-[A-Za-z0-9_-]{20,}+"),
    _token("llmasos-key", "sk-llmasos-", r"sk-llmasos-[0-9a-f]{10}-[A-Za-z0-9_-]{43}"),
    _token(
        "openai-key",
        "sk-",
        r"sk-(?:proj|svcacct|admin|None|or-v1)-[A-Za-z0-9_-]{20,}+|sk-[A-Za-z0-9]{32,}+",
    ),
    _token("hugging-face-token", ("hf_", "api_org_"), r"(?:hf_|api_org_)[A-Za-z0-9]{30,}+"),
    _token("google-key", "aiza", r"AIza[A-Za-z0-9_-]{35}"),
    _token("google-secret", "gocspx-", r"GOCSPX-[A-Za-z0-9_-]{20,}+"),
    _token("google-token", ("ya29.", "1//0"), r"ya29\.[A-Za-z0-9_-]{20,}+|1//0[A-Za-z0-9_-]{30,}+"),
    _token("slack-token", "xox", r"xox[abeoprs](?:\.xox[bp])?-[A-Za-z0-9-]{10,}+"),
    _token("slack-token", "xapp-", r"xapp-[0-9]-[A-Za-z0-9-]{20,}+"),
    _after(
        "webhook", "hooks.slack.com", r"hooks\.slack\.com/(?:services|workflows|triggers)/", r"[\w/+-]{20,}+"
    ),
    _after("webhook", "webhooks/", r"discord(?:app)?\.com/api/(?:v\d+/)?webhooks/", r"\d+/[\w-]{20,}+"),
    _token(
        "stripe-key",
        ("_live_", "_test_", "whsec_"),
        r"[srp]k_(?:live|test)_[A-Za-z0-9]{16,}+|whsec_[\w+/]{24,}+",
    ),
    _token("npm-token", "npm_", r"npm_[A-Za-z0-9]{36}"),
    _token("pypi-token", "pypi-", r"pypi-AgE[A-Za-z0-9_-]{40,}+"),
    _token("sendgrid-key", "sg.", r"SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{32,}+"),
    _token("twilio-key", ("sk", "ac"), r"(?:SK|AC)[0-9a-f]{32}"),
    _token("telegram-token", ":aa", r"[0-9]{8,10}:AA[A-Za-z0-9_-]{33}"),
    _token(
        "discord-token",
        ".",
        r"(?:mfa\.[\w-]{80,}+|[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,40})",
    ),
    _token("digitalocean-token", ("dop_v1_", "doo_v1_", "dor_v1_"), r"do[opr]_v1_[0-9a-f]{64}"),
    _token("shopify-token", "shp", r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}"),
    _token("mailgun-key", "key-", r"key-[0-9a-f]{32}"),
    _token("mailchimp-key", "-us", r"[0-9a-f]{32}-us[0-9]{1,2}"),
    _token("databricks-token", "dapi", r"dapi[0-9a-f]{32}(?:-\d)?"),
    _token("grafana-token", ("glsa_", "glc_"), r"glsa_[A-Za-z0-9]{32}_[0-9a-f]{8}|glc_[A-Za-z0-9+/]{32,}+"),
    _token("vault-token", ("hvs.", "hvb.", "hvr."), r"hv[sbr]\.[A-Za-z0-9_-]{24,}+"),
    _token("groq-key", "gsk_", r"gsk_[A-Za-z0-9]{40,}+"),
    _token("replicate-token", "r8_", r"r8_[A-Za-z0-9]{37,}+"),
    _token("xai-key", "xai-", r"xai-[A-Za-z0-9]{40,}+"),
    _token("perplexity-key", "pplx-", r"pplx-[A-Za-z0-9]{32,}+"),
    _token("nvidia-key", "nvapi-", r"nvapi-[A-Za-z0-9_-]{40,}+"),
    _token("linear-key", "lin_", r"lin_(?:api|oauth)_[A-Za-z0-9]{32,}+"),
    _token("notion-token", ("ntn_", "secret_"), r"(?:ntn_|secret_)[A-Za-z0-9]{40,}+"),
    _token("docker-token", ("dckr_pat_", "dckr_oat_"), r"dckr_[po]at_[A-Za-z0-9_-]{20,}+"),
    _token("terraform-token", ".atlasv1.", r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,}+"),
    _token("doppler-token", "dp.", r"dp\.(?:pt|st|ct|sa|scim|audit)\.(?:[\w-]{2,35}\.)?[A-Za-z0-9]{40,44}"),
    _token("age-key", "age-secret-key-", r"AGE-SECRET-KEY-1[A-Z0-9]{58}"),
    _token("square-token", ("sq0", "eaaa"), r"sq0(?:atp|csp|idp)-[\w-]{22,43}|EAAA[\w-]{60}"),
    _token("atlassian-token", "atatt3", r"ATATT3[A-Za-z0-9_=-]{100,}+"),
    _token("new-relic-key", "nrak-", r"NRAK-[A-Z0-9]{27}"),
    _token("postman-key", "pmak-", r"PMAK-[0-9a-f]{24}-[0-9a-f]{34}"),
    Shape(
        "jwt",
        ("eyj",),
        re.compile(
            r"(?<![A-Za-z0-9_.-])eyJ[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]{4,}+\.[A-Za-z0-9_-]*+(?:\.[A-Za-z0-9_-]++){0,2}"
        ),
        _is_jwt,
    ),
    _after(
        "azure-key",
        ("accountkey", "sharedaccess", "sig="),
        r"(?:AccountKey|SharedAccessKey|SharedAccessSignature|[?&]sig)=",
        r"[A-Za-z0-9+/=%~._-]{20,}+",
    ),
    _after(
        "password",
        "://",
        r"[a-z][a-z0-9+.-]{1,20}+://[^\s:/@'\"]{0,100}+:",
        r"[^\s/@'\"]{1,200}+",
        after="(?=@)",
    ),
    _after("password", "://", r"https?://", r"[A-Za-z0-9_.~%-]{20,200}+", _is_random, after="(?=@)"),
    _after("bearer-token", "bearer", r"\bbearer[ \t]{1,8}", r"[A-Za-z0-9_.~+/-]{16,}+=*+", _has_digits),
    _after("password", "basic", r"\bbasic[ \t]{1,8}", r"[A-Za-z0-9+/_-]{8,}+=*+", _is_basic),
    _after("npm-token", "_auth", r"_auth(?:token)?[ \t]{0,8}=[ \t]{0,8}[\"']?", r"[^\s\"']{8,}+"),
    _after("password", "password", r"\blogin\s{1,8}\S{1,200}\s{1,8}password\s{1,8}", r"\S{4,}+"),
    _after("password", "--pass", r"--pass(?:word|wd|phrase)?[ \t]{1,4}[\"']?", r"[^\s\"'-][^\s\"']{7,}+"),
    Shape(
        "ethereum-key", ("0x",), re.compile(r"(?<![A-Za-z0-9])0x[0-9a-fA-F]{64}(?![0-9a-fA-F])"), _is_no_hash
    ),
    _after(
        "ethereum-key",
        _CONTEXT,
        rf"(?:{NAMES}|key|seed|wallet|pk)[\w\"' \t.:=>\[(-]{{0,40}}?",
        r"(?:0x)?[0-9a-f]{64}(?![0-9a-f])",
        _is_varied,
    ),
    _after(
        "token",
        _CONTEXT,
        rf"(?:{NAMES})[\w.-]{{0,20}}{_ASSIGNED}",
        r"(?:[0-9a-f]{40}|[0-9a-f]{32})(?![0-9a-f])",
        _is_varied,
    ),
    _after("secret", _CONTEXT, rf"{NAMES}[\w.-]{{0,20}}{_ASSIGNED}", _VALUE, _is_random),
)
KINDS = frozenset(shape.kind for shape in SHAPES)

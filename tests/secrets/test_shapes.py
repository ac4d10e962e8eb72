"""Tokens are told by their shapes, and what only resembles them is left alone."""

from __future__ import annotations

import base64
import json
import random
import string

import pytest

from llmasos.secrets import Redactor
from llmasos.secrets.shapes import find

_DRAW = random.Random(7)
_ALPHABETS = {
    "w": string.ascii_letters + string.digits,
    "h": "0123456789abcdef",
    "u": string.ascii_uppercase + string.digits,
    "d": string.digits,
}


def drawn(kind: str, length: int) -> str:
    return "".join(_DRAW.choice(_ALPHABETS[kind]) for _ in range(length))


def jwt() -> str:
    parts = [
        json.dumps(part).encode() for part in ({"alg": "HS256", "typ": "JWT"}, {"sub": "1", "name": "A"})
    ]
    return ".".join(
        [*(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts), drawn("w", 43)]
    )


PEM = "\n".join(
    [
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        drawn("w", 70),
        drawn("w", 30),
        "-----END OPENSSH PRIVATE KEY-----",
    ]
)
TOKENS = {
    "aws-key-id": "AKIA" + drawn("u", 16),
    "aws-temporary-id": "ASIA" + drawn("u", 16),
    "github-personal": "ghp_" + drawn("w", 36),
    "github-oauth": "gho_" + drawn("w", 36),
    "github-user": "ghu_" + drawn("w", 36),
    "github-server": "ghs_" + drawn("w", 36),
    "github-refresh": "ghr_" + drawn("w", 76),
    "github-fine": "github_pat_" + drawn("w", 22) + "_" + drawn("w", 59),
    "gitlab": "glpat-" + drawn("w", 20),
    "openai": "sk-" + drawn("w", 48),
    "openai-project": "sk-proj-" + drawn("w", 74) + "-" + drawn("w", 40),
    "anthropic": "sk-ant-api03-" + drawn("w", 93) + "AA",
    "hugging-face": "hf_" + drawn("w", 34),
    "google": "AIza" + drawn("w", 35),
    "google-secret": "GOCSPX-" + drawn("w", 28),
    "google-oauth": "ya29.a0" + drawn("w", 60),
    "slack-bot": f"xoxb-{drawn('d', 12)}-{drawn('d', 12)}-{drawn('w', 24)}",
    "slack-app": f"xapp-1-{drawn('u', 11)}-{drawn('d', 13)}-{drawn('h', 64)}",
    "stripe": "sk_live_" + drawn("w", 24),
    "stripe-restricted": "rk_live_" + drawn("w", 24),
    "npm": "npm_" + drawn("w", 36),
    "pypi": "pypi-AgEIcHlwaS5vcmc" + drawn("w", 120),
    "sendgrid": f"SG.{drawn('w', 22)}.{drawn('w', 43)}",
    "twilio-key": "SK" + drawn("h", 32),
    "twilio-account": "AC" + drawn("h", 32),
    "telegram": drawn("d", 9) + ":AA" + drawn("w", 33),
    "discord": f"M{drawn('w', 23)}.{drawn('w', 6)}.{drawn('w', 38)}",
    "jwt": jwt(),
    "pem": PEM,
    "pem-in-json": PEM.replace("\n", "\\n"),
    "ethereum": "0x" + drawn("h", 64),
    "llmasos": f"sk-llmasos-{drawn('h', 10)}-{drawn('w', 43)}",
    "gitlab-runner": "glrt-" + drawn("w", 20),
    "digitalocean": "dop_v1_" + drawn("h", 64),
    "vault": "hvs." + drawn("w", 90),
    "docker": "dckr_pat_" + drawn("w", 27),
}
NAMED = {
    "aws-secret": ("aws_secret_access_key = {}", drawn("w", 39) + "/"),
    "aws-secret-json": ('{{"awsSecretKey": "{}"}}', drawn("w", 40)),
    "slack-webhook": (
        "https://hooks.slack.com/services/{}",
        f"T{drawn('u', 8)}/B{drawn('u', 8)}/{drawn('w', 24)}",
    ),
    "discord-webhook": ("https://discord.com/api/webhooks/{}", f"{drawn('d', 18)}/{drawn('w', 68)}"),
    "database": ("postgresql://bob:{}@db.example.org:5432/shop", "s3cr3t-Pa55"),
    "basic-in-link": ("see https://alice:{}@example.org/x", "tr0ub4dor&3"),
    "token-in-link": ("git clone https://{}@example.org/a.git", drawn("w", 40)),
    "azure": ("DefaultEndpointsProtocol=https;AccountName=a;AccountKey={};x", drawn("w", 86) + "=="),
    "bearer": ("curl -H 'Authorization: Bearer {}' x", drawn("w", 32) + "1"),
    "basic": ("Authorization: Basic {}", base64.b64encode(b"alice:open sesame").decode()),
    "npmrc": ("//registry.npmjs.org/:_authToken={}", drawn("w", 36)),
    "netrc": ("machine example.org\n  login alice\n  password {}\n", "open-sesame"),
    "git-sha-like": ("GITHUB_TOKEN={}", drawn("h", 40)),
    "hex-secret": ('client_secret: "{}"', drawn("h", 32)),
    "hex-key": ("private key: {}", drawn("h", 64)),
    "wallet": ("wallet {}", drawn("h", 64)),
    "yaml": ("password: {}", "hunter2!x9"),
    "python": ('API_KEY = "{}"', "q8Wz-41xy-PPq0"),
    "ruby": (":secret_key => '{}'", "a1b2c3d4e5f6"),
    "go": ("token := `{}`", "Zz1-9k4k-Yx7q"),
    "escaped": ('{{\\"access_token\\": \\"{}\\"}}', "h4ck-m3-n0w"),
    "option": ("mysql --password {} shop", "n0t-f0r-you"),
}
HARMLESS = (
    "password = os.environ['DB_PASSWORD']",
    "token = get_session_token(user)",
    "api_key=settings.model_api_key_v2",
    "def password(self) -> SecretStr: ...",
    "the secret: nobody knows",
    "tokens: 24000",
    "max_tokens=4096, temperature=0.0",
    "secret = '<your secret here>'",
    "password: ${DB_PASSWORD}",
    "TOKEN_FILE=/run/secrets/token",
    "auth_token: null",
    "https://example.org:8080/path@v1",
    "git@github.com:someone/something.git",
    "postgresql://localhost:5432/shop",
    "commit 3f786850e387550fdab836ed7e6dc881de23001b",
    "sha256 ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
    "transaction 0x88df016429689c079f3b2f6ad39fa052532c56795b733da78a91ebe6a713944b",
    "bytes32 constant X = 0x290decd9548b62a8d60345a988386fc84ba6bc95484008f6362f93160ef3e563;",
    '{"blockHash": "0x88df016429689c079f3b2f6ad39fa052532c56795b733da78a91ebe6a713944b"}',
    "550e8400-e29b-41d4-a716-446655440000",
    "sk-learn and sk-image are libraries; task-oriented",
    "hf_hub_download(repo_id)",
    "AKIA is how they begin",
    "ghp_ and xoxb- are prefixes",
    "eyJ.is.no-token",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----",
    "passwd: root:x:0:0::/root:/bin/bash",
    "sandbox:x:1000:1000::/tmp/home:/bin/bash",
    "0xffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "password reset: see https://example.org/reset",
    "Bearer tokens are sent in headers",
    "basic authentication is simple",
)
PLACES = ("{}", "a {} b", '"{}"', "x={}\n", "[{}]", "'{}',", "a:\t{}\r\n", "({})", "é {} ü")


@pytest.mark.parametrize("name", TOKENS)
def test_tokens_are_found_wherever_they_stand(name: str) -> None:
    token = TOKENS[name]
    for place in PLACES:
        text = place.format(token)
        shown = Redactor().text(text)
        assert "[redacted:" in shown
        assert token not in shown
        assert not any(token[at : at + 12] in shown for at in range(8, max(9, len(token) - 12)))
        assert shown.startswith(place.split("{}")[0])
        assert shown.endswith(place.split("{}")[1])


@pytest.mark.parametrize("name", TOKENS)
def test_what_is_too_short_is_no_token(name: str) -> None:
    token = TOKENS[name]
    # The beginning alone says nothing; a key's block says it in its first line.
    assert name.startswith("pem") or not list(find(f"see {token[: min(16, len(token) // 4)]} there"))


@pytest.mark.parametrize("name", NAMED)
def test_secrets_are_found_by_what_stands_before_them(name: str) -> None:
    template, secret = NAMED[name]
    text = template.format(secret)
    shown = Redactor().text(text)
    assert secret not in shown
    assert "[redacted:" in shown
    assert shown.startswith(text.split(secret)[0])
    assert shown.endswith(text.split(secret)[1])


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_resembles_a_secret_is_left_alone(text: str) -> None:
    assert Redactor().text(text) == text


@pytest.mark.parametrize("text", [*HARMLESS, *TOKENS.values(), *(t.format(s) for t, s in NAMED.values())])
def test_redacting_again_changes_nothing(text: str) -> None:
    redactor = Redactor()
    once = redactor.text(f"a {text} b\n")
    assert redactor.text(once) == once

"""What is secret on this machine is known: in settings, variables and files."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from pydantic import SecretStr

from llmasos.config import LedgerSettings, ModelSettings, Settings
from llmasos.secrets import (
    bare_environment,
    forget_secrets,
    secrets_of_environment,
    secrets_of_files,
    secrets_of_settings,
)

KEY = "9f" * 3 + "0123456789abcdef" * 3 + "aa55aa55aa"
TOKEN = "q8Wz41xyPPq0Lm22Rr9TkQ"


def test_every_secret_of_the_settings_is_known(tmp_path: Path) -> None:
    settings = Settings(
        data_dir=tmp_path,
        model_key=SecretStr("sesame-open-1"),
        database_url="postgresql://llmasos:p4ssphrase@db/llmasos",
        ledger=LedgerSettings(key=SecretStr(KEY), chain="rpc", url=f"https://chain.example.org/v3/{TOKEN}"),
        models=ModelSettings(
            upstreams={"m": ("https://one.example.org/v1",)},
            upstream_keys={"https://one.example.org/v1": SecretStr("upstream-key-7")},
        ),
    )
    known = set(secrets_of_settings(settings))
    assert {"sesame-open-1", "p4ssphrase", KEY, TOKEN, "upstream-key-7"} <= known
    assert not {settings.model, "https://one.example.org/v1", str(tmp_path)} & known


def test_variables_are_secrets_by_their_names_or_their_values() -> None:
    environment = {
        "DB_PASSWORD": "hunter2-db",
        "apiKey": "sesame-open-1",
        "STRIPE_SECRET_KEY_2": "sesame-open-2",
        "HARMLESS": "ghp_" + "a1B2" * 9,
        "DATABASE_URL": "mysql://shop:sesame-open-3@db:3306/shop",
        "PWD": "/home/somebody/project",
        "SSH_AUTH_SOCK": "/tmp/ssh-x/agent.1",
        "TOKEN_URL": "https://example.org/token",
        "SECRET_BACKEND": "filesystem",
        "PATH": "/usr/bin:/bin",
        "EDITOR": "vi",
        "INVOCATION_ID": "0123456789abcdef0123456789abcdef",
        "AUTH": "",
    }
    assert set(secrets_of_environment(environment)) == {
        *("hunter2-db", "sesame-open-1", "sesame-open-2", "sesame-open-3"),
        environment["HARMLESS"],
    }


FILES = {
    ".env": (f"# a comment\nexport API_TOKEN='{TOKEN}'\nDEBUG=true\nDB_PASSWORD=hunter2-db # local\n", 2),
    "config.yaml": (f"database:\n  host: localhost\n  password: hunter2-db\n  token: {TOKEN}\n", 2),
    "credentials.json": (
        json.dumps({"id": "shop", "client_secret": TOKEN, "a": [{"pass": "hunter2-db"}]}),
        2,
    ),
    ".docker/config.json": (
        json.dumps({"auths": {"r.example.org": {"auth": base64.b64encode(b"me:hunter2-db").decode()}}}),
        1,
    ),
    ".netrc": ("machine example.org\nlogin me\npassword hunter2-db\n", 1),
    ".pgpass": ("localhost:5432:shop:me:hunter2-db\n", 1),
    ".htpasswd": (f"me:$apr1$x1$hunter2-db\nyou:{TOKEN}\n", 2),
    ".npmrc": (f"//registry.npmjs.org/:_authToken={TOKEN}\n", 1),
    ".git-credentials": ("https://me:hunter2-db@example.org\n", 1),
    "key.hex": (f"{TOKEN}\n", 1),
    ".aws/credentials": ("[default]\naws_access_key_id = AKIAABCDEFGHIJKLMNOP\n", 0),
}


@pytest.mark.parametrize("name", FILES)
def test_secrets_in_files_are_known(tmp_path: Path, name: str) -> None:
    text, count = FILES[name]
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    known = list(secrets_of_files([tmp_path / Path(name).parts[0]]))
    held = " ".join(known)
    assert (TOKEN in held) + ("hunter2-db" in held) == count
    assert not {"localhost", "true", "shop", "me", "example.org", "5432"} & set(known)


def test_every_line_of_a_key_is_known(tmp_path: Path) -> None:
    lines = [f"{'Ab3+xY9z' * 8}{number}"[:64] for number in range(5)]
    pem = "\n".join(["-----BEGIN RSA PRIVATE KEY-----", *lines, "-----END RSA PRIVATE KEY-----", ""])
    (tmp_path / "id_rsa").write_text(pem)
    assert set(lines) <= set(secrets_of_files([tmp_path / "id_rsa"]))


def test_what_is_no_text_large_missing_or_a_sample_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "store.p12").write_bytes(b"\xff\xfe\x00password=hunter2-db")
    (tmp_path / "big.env").write_text("PASSWORD=hunter2-db\n" + "x" * 1_000_000)
    (tmp_path / ".env.example").write_text("PASSWORD=hunter2-db\n")
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert list(secrets_of_files([*tmp_path.iterdir(), tmp_path / "missing"])) == []


def test_programs_get_no_more_of_the_environment_than_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "hunter2-db")
    monkeypatch.setenv("SOMETHING", "else")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    bare = bare_environment("OMP_")
    assert not {"DB_PASSWORD", "SOMETHING"} & bare.keys()
    assert {"PATH", "OMP_NUM_THREADS"} <= bare.keys()
    assert "OMP_NUM_THREADS" not in bare_environment()


def test_the_kernel_forgets_what_it_does_not_need() -> None:
    environment = {
        "DB_PASSWORD": "hunter2-db",
        "LLMASOS_MODEL_KEY": "sesame-open-1",
        "HF_TOKEN": "sesame-open-2",
        "https_proxy": "http://me:sesame-open-3@proxy:3128",
        "LLMASOS_MODEL": "qwen2.5-coder-1.5b",
    }
    forget_secrets(environment)
    assert environment.keys() == {"HF_TOKEN", "https_proxy", "LLMASOS_MODEL"}

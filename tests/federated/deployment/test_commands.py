"""The commands of federations, as somebody at a terminal meets them."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from llmasos.federated.deployment import commands, site
from llmasos.federated.deployment.invitation import read_invitation

Do = Callable[..., tuple[int, str, str]]


@pytest.fixture
def do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Do:
    monkeypatch.setenv("LLMASOS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LLMASOS_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        code = commands.main(list(words))
        return code, *capsys.readouterr()

    return run


def test_a_federation_is_made_and_machines_are_invited_to_it(do: Do, tmp_path: Path) -> None:
    code, out, _ = do("init", "--host", "192.0.2.7", "--port", "9444", "--", "region")
    assert code == 0 and "reach it at 192.0.2.7:9444" in out and "invite region NODE" in out
    assert "this machine only" not in out
    code, out, _ = do("invite", "region", "north")
    assert code == 0 and "join region-north.invitation --data PATH" in out
    file = tmp_path / "region-north.invitation"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert read_invitation(file).address == "192.0.2.7:9444"
    code, out, _ = do("nodes")
    assert out.splitlines()[0].startswith("region  at 192.0.2.7:9444, certificates until ")
    assert out.splitlines()[1] == "  @region/north"
    assert json.loads(do("nodes", "--json", "region")[1])["nodes"] == ["north"]
    before = read_invitation(file).authority
    code, out, _ = do("renew", "region")
    assert code == 0 and "Invite anew: llmasos federated invite region north" in out
    assert do("invite", "--out", "new", "--", "region", "north")[0] == 0
    assert read_invitation(Path("new")).authority != before
    assert do("dismiss", "region", "north")[0] == 0
    assert json.loads(do("nodes", "--json")[1])["nodes"] == []


def test_a_federation_of_one_machine_is_said_to_be_one(do: Do) -> None:
    assert "this machine only" in do("init", "alone")[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["init", "region"], "There is a federation region already"),
        (["init", "../up"], "'../up' is not a name"),
        (["init", "--host", "lead.example", "--", "other"], "No address to listen on"),
        (["invite", "moon", "north"], "There is no federation moon"),
        (["invite", "region", "../up"], "'../up' is not a name"),
        (["invite", "--out", "taken", "--", "region", "north"], "There is a file taken already"),
        (["invite", "--out", "none/x", "--", "region", "north"], "There is no folder none"),
        (["dismiss", "region", "moon"], "moon is not in the federation"),
        (["nodes", "moon"], "There is no federation moon"),
        (["join", "--data", "iris", "none"], "none cannot be read"),
        (["join", "--data", "iris", "taken"], "taken is not an invitation"),
        (["join", "--data", "iris", "--name", "south", "good"], "for north, not for south"),
    ],
)
def test_what_is_wrong_is_said_with_a_next_step(do: Do, words: list[str], said: str) -> None:
    do("init", "region")
    do("invite", "--out", "good", "--", "region", "north")
    Path("taken").write_text("something")
    code, out, err = do(*words)
    assert code == 1 and out == "" and said in err and "Traceback" not in err
    assert "moon" in said or len(err.splitlines()) == 2
    assert "\x1b" not in err


def test_what_a_machine_offers_does_not_act_on_the_terminal(do: Do, monkeypatch: pytest.MonkeyPatch) -> None:
    def stay(*_: object) -> Generator[str]:
        yield "north offers 2 rows with the columns \x1b[2Ja"
        raise KeyboardInterrupt

    do("init", "region")
    do("invite", "--out", "good", "--", "region", "north")
    monkeypatch.setattr(site.Site, "stay", stay)
    code, out, err = do("join", "--data", "iris", "good")
    assert code == 130 and err == "" and "\x1b" not in out

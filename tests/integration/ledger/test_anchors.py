"""Anchors at real places: git with a remote, and a time-stamping authority made of openssl."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from llmasos.config import LedgerSettings
from llmasos.errors import ConfigError
from llmasos.ledger.anchors import git as git_anchor
from llmasos.ledger.anchors import timestamp
from llmasos.ledger.anchors.choice import open_anchors
from llmasos.ledger.anchors.git import GitAnchor
from llmasos.ledger.anchors.port import Anchor, AnchorError, AnchorMismatch, Statement
from llmasos.ledger.anchors.timestamp import TimestampAnchor
from llmasos.ledger.chains.memory import MemoryChain

pytestmark = [pytest.mark.integration, pytest.mark.anyio]


def stated(records: int = 1) -> Statement:
    return Statement(
        chain_id=7,
        contract="0x" + "22" * 20,
        block=records,
        block_hash="0x" + "cd" * 32,
        records=records,
        history="ab" * 32,
        at=f"2026-01-02T03:04:0{records}.000005+00:00",
    )


def open_one(target: str) -> Anchor:
    (anchor,) = open_anchors(LedgerSettings(anchors=(target,)), lambda url, ident: MemoryChain())
    return anchor


# git


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "core.hooksPath=/dev/null"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder.parent)}
    command = ["git", *who, "-C", str(folder), *arguments]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    path = tmp_path / "remote.git"
    subprocess.run(["git", "init", "--quiet", "--bare", "-b", "main", str(path)], check=True)
    return path


@pytest.fixture
def clone(tmp_path: Path, remote: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone with work in progress, hooks that tell that they ran, and an environment that misleads."""
    path = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(remote), str(path)], check=True, capture_output=True)
    for name in ("kept", "changed", "staged"):
        (path / name).write_text(name)
    git(path, "add", ".")
    git(path, "commit", "--quiet", "-m", "First")
    git(path, "push", "--quiet", "origin", "HEAD")
    (path / "changed").write_text("more")
    (path / "staged").write_text("more")
    git(path, "add", "staged")
    (path / "new").write_text("new")
    for hook in ("pre-push", "pre-commit", "reference-transaction", "post-commit", "pre-auto-gc"):
        (path / ".git" / "hooks" / hook).write_text(f"#!/bin/sh\ntouch {tmp_path}/hook-ran\nexit 1\n")
        (path / ".git" / "hooks" / hook).chmod(0o755)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "elsewhere-index"))
    monkeypatch.setenv("GIT_AUTHOR_DATE", "nonsense")
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    return path


def seen(clone: Path) -> tuple[object, ...]:
    """Return all of a clone that is not ours to touch."""
    files = {file.name: file.read_bytes() for file in clone.iterdir() if file.is_file()}
    own = [clone / ".git" / name for name in ("HEAD", "index", "config", "FETCH_HEAD")]
    inside = [file.read_bytes() if file.exists() else b"" for file in own]
    return files, inside, git(clone, "rev-parse", "main", "origin/main")


async def test_git_holds_a_commit_for_each_statement_and_touches_nothing_else(
    clone: Path, remote: Path, tmp_path: Path
) -> None:
    anchor, before = open_one(f"git:{clone}"), seen(clone)
    assert await anchor.digests() == []
    receipts = [await anchor.put(stated(number)) for number in (1, 2)]
    assert await anchor.put(stated(1)) == receipts[0]
    assert await anchor.digests() == [stated(1).digest, stated(2).digest]
    for number, receipt in enumerate(receipts, 1):
        assert await anchor.check(stated(number), receipt) == stated(number).at
    for about, receipt in [(stated(2), receipts[0]), (stated(1), b"{}")]:
        with pytest.raises(AnchorMismatch):
            await anchor.check(about, receipt)
    assert seen(clone) == before
    assert not (tmp_path / "hook-ran").exists()
    branch = "refs/heads/llmasos-anchors"
    assert git(remote, "rev-parse", branch) == git(clone, "rev-parse", branch)
    log = git(remote, "log", "--format=%an %ae %aI %s", branch).splitlines()
    assert log[0] == "LLMasOS llmasos@example.org 2026-01-02T03:04:02+00:00 Anchor 2 records"
    assert git(remote, "ls-tree", "--name-only", branch) == "statement.json"


async def test_git_finds_history_that_was_rewritten(clone: Path, remote: Path) -> None:
    anchor, branch = GitAnchor(clone), "refs/heads/llmasos-anchors"
    first, second = await anchor.put(stated(1)), await anchor.put(stated(2))
    tip, before = git(clone, "rev-parse", branch), git(clone, "rev-parse", f"{branch}~")
    # At the remote alone, then there and here, then here alone.
    git(remote, "update-ref", branch, before)
    assert await anchor.digests() == [stated(1).digest]
    assert await anchor.check(stated(1), first)
    with pytest.raises(AnchorMismatch, match="remote"):
        await anchor.check(stated(2), second)
    git(clone, "update-ref", branch, before)
    with pytest.raises(AnchorMismatch, match="rewritten"):
        await GitAnchor(clone).check(stated(2), second)
    git(remote, "update-ref", branch, tip)
    with pytest.raises(AnchorMismatch, match="The branch llmasos-anchors"):
        await GitAnchor(clone).check(stated(2), second)
    git(remote, "update-ref", "-d", branch)
    with pytest.raises(AnchorMismatch, match="remote"):
        await GitAnchor(clone).check(stated(1), first)
    assert await GitAnchor(clone).digests() == []


async def test_git_pushes_later_what_could_not_be_pushed(clone: Path, remote: Path) -> None:
    anchor = GitAnchor(clone)
    first = await anchor.put(stated(1))
    away = remote.rename(remote.with_name("away.git"))
    for _ in range(2):
        with pytest.raises(AnchorError, match="failed"):
            await anchor.put(stated(2))
    for question in (anchor.check(stated(1), first), anchor.digests()):
        with pytest.raises(AnchorError):
            await question
    # The remote goes away between the commit and the push, too.
    away.rename(remote)
    (remote / "hooks" / "update").write_text("#!/bin/sh\nexit 1\n")
    (remote / "hooks" / "update").chmod(0o755)
    with pytest.raises(AnchorError, match="push"):
        await anchor.put(stated(2))
    (remote / "hooks" / "update").unlink()
    second = await anchor.put(stated(2))
    assert await anchor.digests() == [stated(1).digest, stated(2).digest]
    assert await anchor.check(stated(2), second)
    (clone / ".git" / "hooks" / "reference-transaction").unlink()
    git(clone, "remote", "remove", "origin")
    with pytest.raises(AnchorError, match="no remote"):
        await anchor.check(stated(2), second)


async def test_a_new_clone_goes_on_where_the_branch_ends(clone: Path, remote: Path, tmp_path: Path) -> None:
    first = await GitAnchor(clone).put(stated(1))
    other = tmp_path / "other"
    subprocess.run(
        ["git", "clone", "--quiet", str(remote), str(other)], check=True, env={"PATH": os.environ["PATH"]}
    )
    again = GitAnchor(other)
    assert await again.digests() == [stated(1).digest]
    await again.put(stated(2))
    assert await again.check(stated(1), first)
    # The first one follows; two that parted do not overwrite each other.
    third = await GitAnchor(clone).put(stated(3))
    assert await GitAnchor(clone).check(stated(3), third)
    assert not (tmp_path / "hook-ran").exists()
    git(other, "update-ref", "refs/heads/llmasos-anchors", "llmasos-anchors~")
    git(other, "remote", "set-url", "origin", str(tmp_path / "nowhere"))
    with pytest.raises(AnchorError):
        await again.put(stated(4))
    git(other, "remote", "remove", "origin")
    await again.put(stated(4))
    git(other, "remote", "add", "origin", str(remote))
    with pytest.raises(AnchorMismatch, match="parted"):
        await again.put(stated(5))
    assert len(await GitAnchor(clone).digests()) == 3


async def test_a_branch_of_somebody_else_is_left_alone(clone: Path, remote: Path, tmp_path: Path) -> None:
    git(clone, "branch", "work")
    with pytest.raises(AnchorMismatch, match="not a statement"):
        await open_one(f"git:{clone}#work").put(stated(1))
    with pytest.raises(AnchorError, match="checked out"):
        await GitAnchor(clone, "main").put(stated(1))
    inside = clone / "folder"
    inside.mkdir()
    with pytest.raises(AnchorError, match="not a git repository"):
        await GitAnchor(inside).put(stated(1))
    with pytest.raises(AnchorError, match="failed"):
        await GitAnchor(tmp_path / "missing").put(stated(1))
    bare = GitAnchor(remote, "main")
    with pytest.raises(AnchorMismatch, match="not a statement"):
        await bare.put(stated(1))


async def test_a_repository_without_a_remote_is_enough(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", "--bare", str(tmp_path / "log.git")], check=True)
    anchor = GitAnchor(tmp_path / "log.git")
    receipt = await anchor.put(stated(1))
    assert await anchor.digests() == [stated(1).digest]
    assert await anchor.check(stated(1), receipt)


async def test_git_never_asks_hangs_or_tells_a_password(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_anchor, "REMOTE_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        git(clone, "remote", "set-url", "origin", f"git://127.0.0.1:{port}/x")
        with pytest.raises(AnchorError, match="did not end"):
            await GitAnchor(clone).put(stated(1))
    monkeypatch.setattr(git_anchor, "REMOTE_SECONDS", 60.0)
    git(clone, "remote", "set-url", "origin", f"http://ann:secret@127.0.0.1:{port}/x")
    with pytest.raises(AnchorError, match="failed") as caught:
        await GitAnchor(clone).put(stated(1))
    assert "secret" not in str(caught.value)


# Time stamps

CONFIGURATION = """
[tsa]
default_tsa = authority
[authority]
serial = serial
signer_cert = tsa.pem
signer_key = tsa.key
certs = root.pem
default_policy = 1.2.3.4.1
digests = sha256
signer_digest = sha256
ess_cert_id_alg = sha256
[root]
basicConstraints = critical,CA:true
keyUsage = critical,keyCertSign
[stamping]
basicConstraints = critical,CA:false
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
[other]
basicConstraints = critical,CA:false
keyUsage = critical,digitalSignature
[req]
distinguished_name = name
[name]
"""
TOKEN_CONTENT = "1.2.840.113549.1.9.16.1.4"


class Authority:
    """A time-stamping authority: openssl behind a small HTTP server.

    Args:
        folder: Where its keys and certificates lie.

    `answer` may be set to give something else than a time stamp.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.answer: Callable[[bytes], tuple[int, bytes]] = lambda request: (200, self.stamp(request))
        (folder / "openssl.cnf").write_text(CONFIGURATION)
        self.root("root")
        self.certify("tsa", "stamping", "root", serial=1)

    def openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)

    def root(self, name: str) -> None:
        flags = ["-x509", "-extensions", "root", "-subj", "/CN=Root", "-days", "2"]
        self._request(name, *flags, "-out", f"{name}.pem")

    def certify(self, name: str, use: str, root: str, *, serial: int) -> None:
        self._request(name, "-subj", "/CN=Authority", "-out", f"{name}.csr")
        by = ["-CA", f"{root}.pem", "-CAkey", f"{root}.key", "-set_serial", str(serial), "-days", "2"]
        use_of = ["-extfile", "openssl.cnf", "-extensions", use]
        self.openssl("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *by, *use_of)

    def stamp(self, request: bytes) -> bytes:
        (self.folder / "request").write_bytes(request)
        reply = ["-config", "openssl.cnf", "-queryfile", "request", "-out", "reply"]
        self.openssl("ts", "-reply", *reply)
        return (self.folder / "reply").read_bytes()

    def forge(self, stamped: bytes, signer: str, *more: str) -> bytes:
        """Return the content of a time stamp signed by somebody else."""
        (self.folder / "reply").write_bytes(stamped)
        self.openssl("ts", "-reply", "-in", "reply", "-token_out", "-out", "token")
        self.openssl("cms", "-verify", "-noverify", "-inform", "DER", "-in", "token", "-out", "content")
        by = ["-signer", f"{signer}.pem", "-inkey", f"{signer}.key"]
        for name in more:
            by += ["-certfile", f"{name}.pem"]
        form = ["-binary", "-nodetach", "-econtent_type", TOKEN_CONTENT, "-outform", "DER"]
        self.openssl("cms", "-sign", *form, "-in", "content", "-out", "forged", *by)
        return _sequence(b"\x30\x03\x02\x01\x00" + (self.folder / "forged").read_bytes())

    def _request(self, name: str, *flags: str) -> None:
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key"]
        self.openssl("req", "-config", "openssl.cnf", *key, *flags)


def _sequence(content: bytes) -> bytes:
    return b"\x30\x82" + len(content).to_bytes(2, "big") + content


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def url(authority: Authority) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.headers["Content-Type"] == "application/timestamp-query"
            status, body = authority.answer(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/stamp"
        server.shutdown()
        thread.join()


@pytest.fixture
def anchor(authority: Authority, url: str) -> Anchor:
    return open_one(f"rfc3161:{url}#{authority.folder / 'root.pem'}")


async def test_an_authority_stamps_and_anyone_can_check(authority: Authority, anchor: Anchor) -> None:
    receipt = await anchor.put(stated(1))
    assert await anchor.digests() is None

    def absent(request: bytes) -> tuple[int, bytes]:
        raise AssertionError("a check asks nobody")

    authority.answer = absent
    time = await anchor.check(stated(1), receipt)
    assert time.endswith("+00:00") and time > stated(1).at
    (authority.folder / "receipt").write_bytes(receipt)
    digest = stated(1).digest.hex()
    authority.openssl("ts", "-verify", "-digest", digest, "-in", "receipt", "-CAfile", "root.pem")
    with pytest.raises(AnchorMismatch):
        await anchor.check(stated(2), receipt)
    for wrong in (b"", b"\0", receipt[:-1], receipt[: len(receipt) // 2]):
        with pytest.raises(AnchorMismatch):
            await anchor.check(stated(1), wrong)


async def test_a_stamp_that_was_altered_says_nothing_else(anchor: Anchor) -> None:
    receipt = await anchor.put(stated(1))
    time, survived = await anchor.check(stated(1), receipt), 0
    for place in range(0, len(receipt), 7):
        changed = bytearray(receipt)
        changed[place] ^= 1 << place % 8
        try:
            assert await anchor.check(stated(1), bytes(changed)) == time
            survived += 1
        except (AnchorError, AnchorMismatch):
            pass
    # Some of its bytes are not signed, and say nothing.
    assert survived < len(receipt) / 7 / 4


async def test_only_who_is_trusted_to_stamp_is_believed(
    authority: Authority, anchor: Anchor, url: str
) -> None:
    receipt = await anchor.put(stated(1))
    # Another root of the same name, and the roots that this machine trusts.
    authority.root("false")
    for roots in (authority.folder / "false.pem", None):
        with pytest.raises(AnchorMismatch, match="certificate"):
            await TimestampAnchor(url, roots).check(stated(1), receipt)
    # A certificate of the trusted root that is meant for something else.
    authority.certify("web", "other", "root", serial=2)
    with pytest.raises(AnchorMismatch):
        await anchor.check(stated(1), authority.forge(receipt, "web"))
    # The same beside a certificate of nobody's that claims to be it and to be meant for stamping.
    authority.certify("mask", "stamping", "false", serial=2)
    for _ in range(3):
        with pytest.raises(AnchorMismatch):
            await anchor.check(stated(1), authority.forge(receipt, "web", "mask"))
    assert await anchor.check(stated(1), authority.forge(receipt, "tsa"))


async def test_answers_that_are_no_stamps_are_refused(authority: Authority, anchor: Anchor) -> None:
    kept: list[bytes] = []

    def keep(request: bytes) -> tuple[int, bytes]:
        kept.append(authority.stamp(request))
        return 200, kept[0]

    authority.answer = keep
    await anchor.put(stated(1))
    with pytest.raises(AnchorMismatch, match="Nonce"):
        await anchor.put(stated(1))
    for status, body, reason in [
        (500, b"", "status 500"),
        (200, b"<html>", "not a time-stamp response"),
        (200, b"x" * (timestamp.ANSWER_BYTES + 1), "longer"),
        (200, _sequence(b"\x30\x03\x02\x01\x00"), "not a time-stamp response"),
    ]:
        authority.answer = lambda request, status=status, body=body: (status, body)  # type: ignore[misc]
        with pytest.raises((AnchorError, AnchorMismatch), match=reason):
            await anchor.put(stated(1))
    authority.answer = lambda request: (200, authority.stamp(request))
    file = authority.folder / "openssl.cnf"
    file.write_text(file.read_text().replace("digests = sha256", "digests = sha512"))
    with pytest.raises(AnchorError, match="rejection"):
        await anchor.put(stated(1))


async def test_an_authority_that_is_away_is_told(authority: Authority, url: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(AnchorError, match="cannot be used"):
        await TimestampAnchor(f"http://127.0.0.1:{port}").put(stated(1))
    for content in (None, "no certificate"):
        if content is not None:
            (tmp_path / "roots.pem").write_text(content)
        with pytest.raises(AnchorError, match="roots"):
            await TimestampAnchor(url, tmp_path / "roots.pem").put(stated(1))


async def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rfc3161_client", None)
    with pytest.raises(ConfigError) as caught:
        open_one("rfc3161:https://example.org")
    assert "llmasos[timestamps]" in caught.value.hint

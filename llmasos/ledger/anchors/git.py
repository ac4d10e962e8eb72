"""A branch of a git repository, and of its remote, as a place outside."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import anyio
from pydantic import BaseModel, ValidationError

from llmasos.ledger._digest import canonical
from llmasos.ledger.anchors.port import AnchorError, AnchorMismatch, Statement, read_receipt

BRANCH = "llmasos-anchors"
REMOTE = "origin"
LOCAL_SECONDS, REMOTE_SECONDS = 30.0, 120.0
_FILE = "statement.json"
_WHO = {"NAME": "LLMasOS", "EMAIL": "llmasos@example.org"}


class _Receipt(BaseModel, frozen=True, extra="forbid"):
    """The commit that holds a statement, and whether it was pushed."""

    commit: str
    pushed: bool


class GitAnchor:
    """One commit for each statement on a branch that holds nothing else, pushed where there is a remote.

    Objects and the branch are written directly: the index, the work tree and the branch that is checked out
    are never touched, hooks do not run, and nothing is forced.

    Args:
        path: The repository's folder.
        branch: The branch, which is created when it is missing.
    """

    def __init__(self, path: Path, branch: str = BRANCH) -> None:
        self.target = f"git:{path}" + ("" if branch == BRANCH else f"#{branch}")
        self._path, self._ref = path, f"refs/heads/{branch}"
        self._branch = branch
        self._outside = ""

    async def put(self, statement: Statement) -> bytes:
        """Commit a statement, unless the branch holds it, and push the branch.

        Raises:
            AnchorError: git or the remote refuses; a commit that could not be pushed is pushed the next time.
            AnchorMismatch: The branch holds other commits than ours.
        """
        self._outside = ""
        remote = await self._has_remote()
        if await self._git("symbolic-ref", "--quiet", "HEAD", may_fail=True) == self._ref and not (
            await self._git("rev-parse", "--is-bare-repository") == "true"
        ):
            raise AnchorError(
                f"The branch {self._branch} is checked out in {self._path}.", hint="Check out another branch."
            )
        if remote:
            await self._catch_up(await self._remote_tip())
        tip = await self._tip()
        commit = next((name for name, said in await self._statements(tip) if said == statement), "")
        if not commit:
            commit = await self._commit(statement, tip)
        if remote:
            await self._push()
        return _Receipt(commit=commit, pushed=remote).model_dump_json().encode()

    async def check(self, statement: Statement, receipt: bytes) -> str:
        """Return the statement's own time if its commit is on the branch, here and at the remote.

        The remote is asked once for all checks that follow a call of `digests`.

        Raises:
            AnchorError: The repository or the remote cannot be read.
            AnchorMismatch: The commit is missing, or says something else.
        """
        said = read_receipt(_Receipt, receipt)
        if not re.fullmatch("[0-9a-f]{40,64}", said.commit):
            raise AnchorMismatch("The receipt was altered: it names no commit.")
        remote = await self._has_remote()
        if said.pushed and not remote:
            raise AnchorError(
                f"{self._path} has no remote {REMOTE!r}, to which the statement was pushed.",
                hint=f"Add it with `git remote add {REMOTE} URL`.",
            )
        places = [("The branch", await self._tip())]
        if said.pushed:
            places.append((f"The branch of the remote {REMOTE!r}", self._outside or await self._fetched()))
        if await self._blob(said.commit) != canonical(statement.model_dump()):
            raise AnchorMismatch(
                f"{self._path} has no commit {said.commit[:12]} with the statement over "
                f"{statement.records} records: its history was rewritten.",
                hint="Compare the repository with another clone.",
            )
        for place, tip in places:
            if not tip or not await self._is_ancestor(said.commit, tip):
                raise AnchorMismatch(
                    f"{place} {self._branch} of {self._path} does not hold commit {said.commit[:12]}: its "
                    "history was rewritten.",
                    hint="Find out who may push to it; compare it with another clone.",
                )
        return statement.at

    async def digests(self) -> list[bytes]:
        """Return the digests of the statements on the branch: the remote's where there is one.

        Raises:
            AnchorError: The repository or the remote cannot be read.
            AnchorMismatch: The branch holds commits that are not ours.
        """
        self._outside = await self._fetched() if await self._has_remote() else await self._tip()
        return [statement.digest for _, statement in reversed(await self._statements(self._outside))]

    async def close(self) -> None:
        """Do nothing: git ends after each use."""

    async def _commit(self, statement: Statement, tip: str) -> str:
        content = canonical(statement.model_dump())
        blob = await self._git("hash-object", "-w", "--stdin", given=content)
        tree = await self._git("mktree", given=f"100644 blob {blob}\t{_FILE}\n".encode())
        parents = ["-p", tip] if tip else []
        text = f"Anchor {statement.records} records\n\nDigest: {statement.digest.hex()}\n"
        commit = await self._git("commit-tree", tree, *parents, given=text.encode(), at=statement.at)
        # Fails when the branch has moved since; a name of zeros says that it must not be there.
        await self._git("update-ref", self._ref, commit, tip or "0" * len(commit))
        return commit

    async def _push(self) -> None:
        flags = ("--no-verify", "--no-signed", "--no-follow-tags", "--recurse-submodules=no", "--quiet")
        await self._git("push", *flags, REMOTE, f"{self._ref}:{self._ref}", seconds=REMOTE_SECONDS)

    async def _catch_up(self, outside: str) -> None:
        """Take over what a remote has and the repository lacks, such as after cloning it anew."""
        tip = await self._tip()
        if not outside or outside == tip:
            return
        await self._fetch()
        if not tip or await self._is_ancestor(tip, outside):
            await self._git("update-ref", self._ref, outside, tip or "0" * len(outside))
        elif not await self._is_ancestor(outside, tip):
            raise AnchorMismatch(
                f"The branch {self._branch} of {self._path} and that of its remote have parted.",
                hint="A branch belongs to one ledger; choose another with `git:PATH#BRANCH`.",
            )

    async def _fetched(self) -> str:
        """Return the tip of the remote's branch, with its commits at hand; empty when it has none."""
        tip = await self._remote_tip()
        if tip and await self._git("cat-file", "-t", tip, may_fail=True) != "commit":
            await self._fetch()
        return tip

    async def _fetch(self) -> None:
        flags = ("--no-tags", "--no-write-fetch-head", "--refmap=", "--recurse-submodules=no", "--quiet")
        await self._git("fetch", *flags, REMOTE, self._ref, seconds=REMOTE_SECONDS)

    async def _has_remote(self) -> bool:
        return REMOTE in (await self._git("remote")).split()

    async def _remote_tip(self) -> str:
        found = await self._git("ls-remote", "--quiet", REMOTE, self._ref, seconds=REMOTE_SECONDS)
        return found.split()[0] if found else ""

    async def _tip(self) -> str:
        return await self._git("rev-parse", "--verify", "--quiet", f"{self._ref}^{{commit}}", may_fail=True)

    async def _is_ancestor(self, commit: str, tip: str) -> bool:
        base = await self._git("merge-base", commit, tip, may_fail=True)
        return base == commit

    async def _blob(self, commit: str) -> bytes:
        return (await self._run("cat-file", "blob", f"{commit}:{_FILE}", may_fail=True)).stdout

    async def _statements(self, tip: str) -> list[tuple[str, Statement]]:
        """Return a branch's commits and what they state, newest first."""
        if not tip:
            return []
        commits = (await self._git("rev-list", "--first-parent", tip)).split()
        asked = "".join(f"{commit}:{_FILE}\n" for commit in commits).encode()
        answer = (await self._run("cat-file", "--batch", given=asked)).stdout
        found = []
        for commit in commits:
            header, _, answer = answer.partition(b"\n")
            try:
                size = int(header.split()[2])
                found.append((commit, Statement.model_validate_json(answer[:size])))
            except (IndexError, ValueError, ValidationError) as error:
                raise AnchorMismatch(
                    f"Commit {commit[:12]} on the branch {self._branch} of {self._path} is not a statement.",
                    hint="A branch of anchors holds nothing else; choose another with `git:PATH#BRANCH`.",
                ) from error
            answer = answer[size + 1 :]
        return found

    async def _git(
        self,
        *arguments: str,
        given: bytes = b"",
        at: str = "",
        seconds: float = LOCAL_SECONDS,
        may_fail: bool = False,
    ) -> str:
        done = await self._run(*arguments, given=given, at=at, seconds=seconds, may_fail=may_fail)
        return done.stdout.decode(errors="replace").strip()

    async def _run(
        self,
        *arguments: str,
        given: bytes = b"",
        at: str = "",
        seconds: float = LOCAL_SECONDS,
        may_fail: bool = False,
    ) -> subprocess.CompletedProcess[bytes]:
        settings = (
            "core.hooksPath=/dev/null",
            "core.fsync=committed,reference",
            "gc.auto=0",
            "maintenance.auto=false",
        )
        flags = [part for setting in settings for part in ("-c", setting)]
        try:
            with anyio.fail_after(seconds):
                done = await anyio.run_process(
                    ["git", *flags, "-C", str(self._path), *arguments],
                    input=given,
                    check=False,
                    env=self._environment(at),
                    # Without a terminal of its own, ssh cannot ask for a password either.
                    start_new_session=True,
                )
        except TimeoutError as error:
            raise AnchorError(
                f"`git {arguments[0]}` in {self._path} did not end within {seconds:.0f} seconds.",
                hint="Check the remote; git must be able to reach it without asking.",
            ) from error
        except OSError as error:
            raise AnchorError(f"git cannot be started: {error.strerror}.", hint="Install git.") from error
        if done.returncode and not (may_fail and done.returncode in (1, 128)):
            reason = _without_passwords(done.stderr.decode(errors="replace").strip())
            raise AnchorError(
                f"`git {arguments[0]}` failed in {self._path}: {reason or done.returncode}",
                hint="Give the path of a repository; git must be able to push to it without asking.",
            )
        return done

    def _environment(self, at: str) -> dict[str, str]:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "SSH_ASKPASS"))
        }
        who = {
            f"GIT_{role}_{name}": value for role in ("AUTHOR", "COMMITTER") for name, value in _WHO.items()
        }
        when = {f"GIT_{role}_DATE": at for role in ("AUTHOR", "COMMITTER")} if at else {}
        # A folder that is not a repository must not lead to one that it happens to lie in.
        quiet = {
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CEILING_DIRECTORIES": str(self._path.parent),
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_OPTIONAL_LOCKS": "0",
            "SSH_ASKPASS_REQUIRE": "never",
            "LC_ALL": "C",
        }
        return kept | who | when | quiet


def _without_passwords(text: str) -> str:
    return re.sub(r"//[^/@\s]+@", "//", text)

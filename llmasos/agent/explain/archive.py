"""The archive: each policy that has decided, under its version, so that its decisions can be made again."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import ValidationError

from llmasos import paths
from llmasos.agent.policy import Policy
from llmasos.errors import ConfigError

_VERSION = re.compile(r"[0-9a-f]{8,64}")
_LARGEST = 16 * 2**20


class PolicyArchive:
    """Policies by their versions, one file each; a version is a hash of the rules, checked on reading.

    Args:
        data_dir: The folder in which their folder lies.
    """

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "policies"
        self._kept: set[str] = set()

    def keep(self, policy: Policy) -> None:
        """Keep a policy, on the disk when this returns; one that is kept already costs nothing.

        Raises:
            ConfigError: It cannot be written.
        """
        if policy.version in self._kept:
            return
        file = self._file(policy.version)
        try:
            if not file.exists():
                paths.write_whole(file, policy.model_dump_json(include={"rules"}, exclude_none=True))
        except OSError as error:
            raise ConfigError(
                f"The policy {policy.version} cannot be kept in {file}: {error.strerror}.",
                hint="Make room, and let this user write there.",
            ) from error
        self._kept.add(policy.version)

    def load(self, version: str) -> Policy:
        """Return the policy of a version.

        Raises:
            ConfigError: It was not kept, or is not the same any more.
        """
        if not _VERSION.fullmatch(version):
            raise ConfigError("the log does not say which policy decided")
        file = self._file(version)
        try:
            with file.open("rb") as open_file:
                policy = Policy.model_validate_json(open_file.read(_LARGEST))
        except FileNotFoundError:
            raise ConfigError(f"the policy {version} was not kept") from None
        except (OSError, ValidationError) as error:
            raise ConfigError(f"the policy {version} cannot be read any more from {file}") from error
        if policy.version != version:
            raise ConfigError(f"the policy in {file} was altered: its version is {policy.version}")
        return policy

    def _file(self, version: str) -> Path:
        return self._folder / f"{version}.json"

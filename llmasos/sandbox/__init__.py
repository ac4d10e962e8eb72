"""Sandboxes and workspaces: code runs on a copy-on-write view of a person's folder."""

from llmasos.sandbox._artifacts import name_artifacts
from llmasos.sandbox.choose import choose_provider, docker_problem
from llmasos.sandbox.docker import DockerProvider
from llmasos.sandbox.egress import AllowedHosts
from llmasos.sandbox.fake import FakeProvider, FakeSandbox
from llmasos.sandbox.jail import JailProvider, jail_problems, jail_weakness, machine_mounts
from llmasos.sandbox.landlock import LandlockProvider, landlock_problem
from llmasos.sandbox.port import (
    LARGEST_ARTIFACT,
    MOST_ARTIFACTS,
    Artifact,
    FileContent,
    FileError,
    FileInfo,
    Job,
    JobOutput,
    Listing,
    Match,
    Matches,
    OnCall,
    OnOutput,
    OnRefused,
    Outcome,
    Sandbox,
    SandboxProvider,
    View,
    ViewKind,
)
from llmasos.sandbox.private import lay_out, private_sandbox, sweep_private
from llmasos.sandbox.workspace import (
    Change,
    Commit,
    FolderSummary,
    Hunk,
    Merged,
    Selection,
    Summary,
    Workspace,
    outline,
)

__all__ = [
    "LARGEST_ARTIFACT",
    "MOST_ARTIFACTS",
    "AllowedHosts",
    "Artifact",
    "Change",
    "Commit",
    "DockerProvider",
    "FakeProvider",
    "FakeSandbox",
    "FileContent",
    "FileError",
    "FileInfo",
    "FolderSummary",
    "Hunk",
    "JailProvider",
    "Job",
    "JobOutput",
    "LandlockProvider",
    "Listing",
    "Match",
    "Matches",
    "Merged",
    "OnCall",
    "OnOutput",
    "OnRefused",
    "Outcome",
    "Sandbox",
    "SandboxProvider",
    "Selection",
    "Summary",
    "View",
    "ViewKind",
    "Workspace",
    "choose_provider",
    "docker_problem",
    "jail_problems",
    "jail_weakness",
    "landlock_problem",
    "lay_out",
    "machine_mounts",
    "name_artifacts",
    "outline",
    "private_sandbox",
    "sweep_private",
]

"""Sandboxes and workspaces: code runs on a copy-on-write view of a person's folder."""

from llmasos.sandbox.choose import choose_provider, docker_problem
from llmasos.sandbox.docker import DockerProvider
from llmasos.sandbox.fake import FakeProvider, FakeSandbox
from llmasos.sandbox.jail import JailProvider, jail_problems
from llmasos.sandbox.landlock import LandlockProvider, landlock_problem
from llmasos.sandbox.port import (
    FileContent,
    FileInfo,
    Listing,
    Match,
    Matches,
    OnCall,
    OnOutput,
    Outcome,
    Sandbox,
    SandboxProvider,
    View,
)
from llmasos.sandbox.workspace import Commit, Workspace

__all__ = [
    "Commit",
    "DockerProvider",
    "FakeProvider",
    "FakeSandbox",
    "FileContent",
    "FileInfo",
    "JailProvider",
    "LandlockProvider",
    "Listing",
    "Match",
    "Matches",
    "OnCall",
    "OnOutput",
    "Outcome",
    "Sandbox",
    "SandboxProvider",
    "View",
    "Workspace",
    "choose_provider",
    "docker_problem",
    "jail_problems",
    "landlock_problem",
]

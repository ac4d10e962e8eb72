"""Sandboxes and workspaces: code runs on a copy-on-write view of a person's folder."""

from llmasos.sandbox.fake import FakeProvider, FakeSandbox
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
    "FakeProvider",
    "FakeSandbox",
    "FileContent",
    "FileInfo",
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
]

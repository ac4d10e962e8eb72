"""Workspaces: a person's folder, the view of it that code works on, and what becomes of the changes."""

from llmasos.sandbox.workspace.changes import Change
from llmasos.sandbox.workspace.commits import Commit
from llmasos.sandbox.workspace.conflicts import Merged
from llmasos.sandbox.workspace.diff import FolderSummary, Summary
from llmasos.sandbox.workspace.folder import outline
from llmasos.sandbox.workspace.hunks import Hunk, Selection
from llmasos.sandbox.workspace.secrets import check_grants
from llmasos.sandbox.workspace.workspace import Workspace

__all__ = [
    "Change",
    "Commit",
    "FolderSummary",
    "Hunk",
    "Merged",
    "Selection",
    "Summary",
    "Workspace",
    "check_grants",
    "outline",
]

"""Where the shell is seen and typed at: a prompt that stays open beneath what is written."""

from llmasos.shell.screen.port import Line, Screen

__all__ = ["Line", "Screen"]

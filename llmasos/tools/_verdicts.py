"""What a limit that was broken, or an end from outside, means to whoever made the call."""

from __future__ import annotations

from types import MappingProxyType

VERDICTS = MappingProxyType(
    {
        "timeout": "It did not finish in time and was stopped.",
        "memory": "It used more memory than it may and was stopped.",
        "cpu": "It used more CPU time than it may and was stopped.",
        "processes": "It started more processes than it may.",
        "files": "It made or opened more files than it may.",
        "disk": "It wrote more than it may to the disk.",
        "output": "It printed more than it may and was stopped.",
        "cancelled": "It was cancelled.",
        "lost": "The sandbox died and was replaced; Python variables are gone.",
    }
)

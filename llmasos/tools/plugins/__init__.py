"""Plugins: tools of other packages, looked at before they are enabled, and run where they can do no harm."""

from llmasos.tools.plugins.plugins import Plugins

__all__ = ["Plugins"]

"""The console: a web page at the kernel's address for the person whose kernel it is, off unless asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmasos.service.console.links import link_routes

if TYPE_CHECKING:
    from starlette.routing import Mount

    from llmasos.kernel import Kernel
    from llmasos.service.access import Logins
    from llmasos.service.drain import Drain

__all__ = ["console_mount", "link_routes"]


def console_mount(kernel: Kernel, logins: Logins, drain: Drain) -> Mount:
    """Return the console, as it is put into the kernel's application.

    Args:
        kernel: The kernel.
        logins: The browsers that are let in.
        drain: Says when nothing new may begin.
    """
    # Kernels without it do not load what draws it.
    from llmasos.service.console.app import mount

    return mount(kernel, logins, drain)

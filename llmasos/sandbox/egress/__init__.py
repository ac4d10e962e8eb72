"""Controlled egress: a proxy on the host that lets a sandbox reach the named hosts, and no others."""

from llmasos.sandbox.egress.hosts import AllowedHosts
from llmasos.sandbox.egress.proxy import PORT, Egress, EgressLimits, proxy_environment

__all__ = ["PORT", "AllowedHosts", "Egress", "EgressLimits", "proxy_environment"]

"""Chains that hold the audit log, behind one port."""

"""Audits of the whole system: does it treat people alike?"""

"""Engines: what runs models, behind one port."""

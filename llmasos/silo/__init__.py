"""A silo: documents that stay on this machine, which a federation asks; only answers and citations leave."""

"""The catalog: which models there are, where their weights come from, and how each is driven."""

"""Models: the catalog, fetching, engines, and the pydantic-ai models over them."""

"""The Ray backend: many clients on the machines of a cluster."""

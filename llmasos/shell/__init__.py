"""The terminal: the interactive shell and the `llmasos` command."""

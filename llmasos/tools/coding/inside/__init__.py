"""What runs inside the sandbox, with its Python: the tests of a module."""

"""What runs inside the sandbox, with its Python, DuckDB, pandas and Matplotlib: data as tables, and their profile."""

"""Data sets: read from files and installed packages, checked, and dealt to clients."""

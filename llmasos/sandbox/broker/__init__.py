"""The broker: one helper process of a kernel that mounts views and starts jails.

`server` and what it imports run outside the kernel, with nothing but the standard library.
"""

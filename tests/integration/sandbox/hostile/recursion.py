import sys

sys.setrecursionlimit(10**9)
nested: list[object] = []
for _ in range(10**6):
    nested = [nested]
repr(nested)

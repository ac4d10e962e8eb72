python3 -c '
import sys
for _ in range(1024):
    sys.stdout.buffer.write(b"x" * (1 << 20))
'

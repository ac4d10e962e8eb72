python3 -c '
hoard = []
while True:
    hoard.append(b"x" * (10 << 20))
'
exit 0

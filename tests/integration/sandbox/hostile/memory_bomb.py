hoard = []
while True:
    hoard.append(b"x" * (10 << 20))

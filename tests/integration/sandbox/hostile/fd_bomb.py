hoard = []
while True:
    hoard.append(open("/dev/null"))  # noqa: SIM115

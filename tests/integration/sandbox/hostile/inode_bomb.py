from itertools import count

for number in count():
    with open(f"file-{number}", "w"):
        pass

python3 -c '
import os
from itertools import count
for number in count():
    with open(os.environ["TMPDIR"] + "/file-%d" % number, "w"):
        pass
'

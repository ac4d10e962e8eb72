"""`python -m llmasos.service` is the kernel process."""

import sys

from llmasos.service import main

sys.exit(main())

"""Standard output that takes no more: who read it has gone, or the disk beneath it is full."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable

from llmasos.errors import LLMasOSError
from llmasos.language import translated_error

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def exit_code(main: Callable[[], int]) -> int:
    """Return a program's exit code, once all that it printed is written.

    Args:
        main: The program. After Ctrl-C the code is 130, and 1 where its output cannot be written.
    """
    try:
        code = main()
        # Python would do it later, and complain about a pipe that nobody reads.
        sys.stdout.flush()
    except OSError as error:
        return output_ended(error)
    except KeyboardInterrupt:
        return 130
    return code


def output_ended(error: OSError) -> int:
    """Return the exit code after an error of writing to standard output, and say so where anybody reads it.

    Args:
        error: The error; no file's name is in it where an open stream was written.

    Raises:
        OSError: It was another error.
    """
    gone = isinstance(error, BrokenPipeError)
    if not gone and (error.filename is not None or error.errno not in _FULL):
        raise error
    # At its end Python would try to write what is left once more, and complain.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2) if gone else (1,):
        os.dup2(nowhere, stream)
    os.close(nowhere)
    if gone:
        return 1
    told = LLMasOSError(
        f"The output cannot be written: {error.strerror}.", hint="Free space there, or send it elsewhere."
    )
    print(translated_error(told.message, told.hint), file=sys.stderr)
    return 1

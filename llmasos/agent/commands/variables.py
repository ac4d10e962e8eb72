"""Variables of the environment: which change what programs run."""

from __future__ import annotations

import re

_OBEYED = re.compile(
    r"PATH|.*PATH|HOME|IFS|ENV|BASH.*|PROMPT_COMMAND|PS[0-4]|SHELL.*|EDITOR|VISUAL|.*PAGER|BROWSER|LD_.*|DYLD_.*"
    r"|GIT_.*|PYTHON.*|PERL.*|RUBY.*|NODE_.*|npm_.*|.*_RSH|RSH|SSH_.*|LESS.*|.*_OPTIONS|.*_OPTS|MAKE.*|MFLAGS"
    r"|XDG_.*|GCONV.*|MALLOC.*|TMPDIR|CC|CXX|LANGUAGE|NLSPATH|PWD|OLDPWD|CDPATH|GLOBIGNORE|EXECIGNORE|FCEDIT"
    r"|.*_proxy|.*_PROXY|PIP_.*|UV_.*|CURL_.*|WGETRC|JAVA.*|_JAVA.*|CLASSPATH|DOCKER_.*|SUDO_.*|COMPREPLY"
    r"|HISTFILE|INPUTRC|TERMINFO|RIPGREP_CONFIG_PATH|POSIXLY_CORRECT|BASH_FUNC.*|RANDOM|_"
)
_HARMLESS = re.compile(
    r"[a-z][a-z0-9_]*|LC_\w+|LANG|TZ|COLUMNS|LINES|TERM|NO_COLOR|CLICOLOR\w*|FORCE_COLOR|CI|DEBUG|VERBOSE"
    r"|\w+_NUM_THREADS|PYTHONUNBUFFERED|PYTHONIOENCODING|PYTHONUTF8|PYTHONHASHSEED|PYTHONDONTWRITEBYTECODE"
    r"|MPLBACKEND|DEBIAN_FRONTEND|BLOCK_SIZE|BLOCKSIZE|TIME_STYLE|LS_COLORS|GREP_COLORS|GREP_COLOR|JQ_COLORS"
    r"|CUDA_VISIBLE_DEVICES|TQDM_DISABLE|GIT_PAGER_IN_USE"
)


def is_obeyed(name: str, *, exported: bool) -> bool:
    """Return whether a variable may change what programs run.

    Args:
        name: Its name.
        exported: Whether programs get it although they had no such variable; otherwise only those count
            that are there already, and those that bash itself obeys.
    """
    if _HARMLESS.fullmatch(name) and not name.endswith("_proxy") and not name.startswith("npm_"):
        return False
    return exported or bool(_OBEYED.fullmatch(name))

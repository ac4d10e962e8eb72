"""Passwords on command lines, told by the options and the variables that take them.

Unlike the shapes of secrets, this finds passwords that look like any word. It knows common programs, and no
more than these.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

REDACTED = "[redacted]"

_PART = re.compile(
    r"""(?P<space>\s*\n\s*|[^\S\n]+|\\\n)|(?P<end>[;|&()<>]+)"""
    r"""|(?P<word>(?:'[^']*(?:'|\Z)|"(?:\\.|[^"\\])*(?:"|\Z)|\\.|\\\Z|[^\s'"\\;|&()<>])+)""",
    re.DOTALL,
)
_NAMED = (
    r"(?:pass(?:word|wd|phrase)?|pwd|secret|token|credentials?|api[_-]?key"
    r"|(?:access|secret|private|account)[_-]?key)"
)
_VARIABLE = re.compile(r"([A-Za-z_]\w*)(\+?=)(.+)", re.DOTALL)
_SECRET_VARIABLE = re.compile(rf"\w*(?:PASS|PWD|SECRET|TOKEN|KEY|CREDENTIAL)\w*|(?i:\w*{_NAMED}\w*)")
_FOLDERS = {"PWD", "OLDPWD"}
_LONG = re.compile(rf"(-{{1,2}}(?:[\w-]+[-_])?(?:{_NAMED}|pw|pin))(?:([=:])(.+))?", re.DOTALL | re.IGNORECASE)
_OF_USER = re.compile(r"(--(?:proxy-)?user|--auth)(?:=(.+))?", re.DOTALL)
_LITERAL = re.compile(r"(--from-literal=[^=]+=|pass:|/p:)(.+)", re.DOTALL)
_INSIDE = (
    re.compile(r"(\w://[^\s/:@'\"]*:)([^\s@'\"]+)(?=@)"),
    re.compile(r"(?i)((?:proxy-)?authorization:\s*(?:(?:basic|bearer|token|digest)\s+)?)([^\s'\"][^'\"]*)"),
    re.compile(r"(?i)(\b(?:cookie|x-[\w-]*(?:key|token)|private-token|api-?key):\s*)([^\s'\"][^'\"]*)"),
    re.compile(rf"(?i)(\\?[\"'][\w-]*{_NAMED}\\?[\"']\s*:\s*\\?[\"'])([^\"'\\]+)"),
    re.compile(rf"(?i)([?&'\"][\w-]*{_NAMED}=)([^&\s'\"]+)"),
)

# Options of programs whose value is a password: those that hold it, and those that are followed by it, too.
_JOINED = dict.fromkeys(
    (
        *("mysql", "mysqldump", "mysqladmin", "mysqlimport", "mysqlshow", "mariadb", "mariadb-dump"),
        *("7z", "7za", "7zr", "7zz", "rar", "unrar"),
    ),
    "p",
)
_FOLLOWED = {
    **dict.fromkeys(("sshpass", "mongo", "mongosh", "mongodump", "mongorestore"), "p"),
    **dict.fromkeys(("zip", "unzip", "sqlcmd", "bcp"), "P"),
    **dict.fromkeys(("ldapsearch", "ldapadd", "ldapmodify", "ldapdelete", "ldapwhoami"), "w"),
    "redis-cli": "a",
    "openssl": "kK",
}
_LOGINS = ("docker", "podman", "nerdctl", "buildah", "skopeo", "helm", "az", "oc")
# Those whose value is a user's name with the password behind it.
_USERS = {"curl": "uU", "http": "a", "https": "a", "xh": "a", "smbclient": "U", "lftp": "u", "wget": ""}


def without_passwords(line: str) -> str:
    """Return a command line with the values that are passwords by where they stand left out.

    Args:
        line: The command line, as a person typed it for a POSIX shell or fish.
    """
    done = "".join(_parts(line))
    for pattern in _INSIDE:
        done = pattern.sub(lambda found: found[1] + _hidden(found[2]), done)
    return done


def _parts(line: str) -> Iterator[str]:
    programs: set[str] = set()
    follows = ""
    at = 0
    while at < len(line):
        part = _PART.match(line, at)
        if part is None:
            yield line[at]
            at += 1
            continue
        at = part.end()
        text = part[0]
        if part["word"] is None:
            if part["end"] or "\n" in text.replace("\\\n", ""):
                programs, follows = set(), ""
            yield text
        elif follows and not (text.startswith("-") and follows == "password"):
            yield _user(text) if follows == "user" else _hidden(text)
            follows = ""
        else:
            shown, follows = _word(text, programs)
            programs.add(text.rpartition("/")[2])
            yield shown


def _word(word: str, programs: set[str]) -> tuple[str, str]:
    """Return a word as it is shown, and what comes next: a `password`, a `value`, a `user` or neither."""
    bare = word.strip("'\"")
    if word != bare and re.search(r"\s", bare):
        # What another shell runs, here or elsewhere.
        return word.replace(bare, "".join(_parts(bare)), 1), ""
    if (found := _VARIABLE.fullmatch(word)) and _is_secret(found[1]):
        return f"{found[1]}{found[2]}{_hidden(found[3])}", ""
    if "set" in programs and _is_secret(word):
        return word, "value"
    if found := _LITERAL.fullmatch(word):
        return found[1] + _hidden(found[2]), ""
    if found := _OF_USER.fullmatch(word):
        return (f"{found[1]}={_user(found[2])}", "") if found[2] else (word, "user")
    if (found := _LONG.fullmatch(word)) and (word.startswith("--") or len(found[1]) > 4):
        return (f"{found[1]}{found[2]}{_hidden(found[3])}", "") if found[3] else (word, "password")
    return _short(word, programs)


def _short(word: str, programs: set[str]) -> tuple[str, str]:
    """Return an option of one letter as it is shown, and what the next word is."""
    if not word.startswith("-") or word.startswith("--") or len(word) < 2:
        return word, ""
    for program in programs:
        letters = _JOINED.get(program, "")
        if word[1] in letters and len(word) > 2:
            return word[:2] + _hidden(word[2:]), ""
        letters = _FOLLOWED.get(program, "")
        if program in _LOGINS and "login" in programs:
            letters = "p"
        if word[1] in letters:
            return (word[:2] + _hidden(word[2:]), "") if len(word) > 2 else (word, "password")
        users = _USERS.get(program, "")
        if word[-1] in users and word[1:].isalpha():
            return word, "user"
        if word[1] in users:
            return word[:2] + _user(word[2:]), ""
    return word, ""


def _is_secret(name: str) -> bool:
    return name not in _FOLDERS and _SECRET_VARIABLE.fullmatch(name) is not None


def _user(value: str) -> str:
    """Return a user's name, without the password behind it."""
    found = re.fullmatch(r"""(["']?[^:%,"']*[:%,])(.+?)(["']?)""", value, re.DOTALL)
    return f"{found[1]}{_hidden(found[2])}{found[3]}" if found else value


def _hidden(value: str) -> str:
    """Return what stands for a value; one that a variable or a program holds is none."""
    return value if re.match(r""""?\$(?:[\w{(]|\Z)|`|["']?\[redacted""", value) else REDACTED

"""Programs that reach hosts."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from .simple import Parsed, Runner, options
from .table import names
from .words import Word

_CURL_VALUED = (
    "-o -O= -d -H -X -A -e -u -b -c -D -F -T -x -U -m -w -K -r -C -E -Y -y -z -P -Q -t"
    " --output --data --data-raw --data-binary --data-urlencode --json --header --request"
    " --user-agent --referer --user --cookie --cookie-jar --dump-header --form --form-string"
    " --upload-file --proxy --proxy-user --max-time --connect-timeout --retry --retry-delay"
    " --retry-max-time --write-out --config --range --cert --key --cacert --capath --resolve"
    " --connect-to --url --output-dir --trace --trace-ascii --stderr --interface --limit-rate"
    " --max-filesize --preproxy --socks5 --socks5-hostname --socks4 --socks4a --doh-url"
    " --etag-save --etag-compare --netrc-file --unix-socket --max-redirs --variable"
    " --expand-url --hsts --alt-svc --libcurl --pubkey --pass --proto"
)
_WGET_VALUED = (
    "-O -o -a -P -U -t -T -w -Q -e -i -l -A -R -D -I -X --output-document --output-file"
    " --append-output --directory-prefix --user-agent --tries --timeout --wait --header"
    " --post-data --post-file --body-data --body-file --method --execute --input-file --level"
    " --user --password --referer --load-cookies --save-cookies --limit-rate --accept --reject"
    " --domains --use-askpass --config --rejected-log --base"
)
_RSYNC_VALUED = names(
    "-e --rsh -f --filter --exclude --include --exclude-from --include-from --files-from --bwlimit"
    " --rsync-path --port --partial-dir --temp-dir --backup-dir --log-file --password-file --timeout"
)
_SCP_VALUED = names("-P -i -o -F -S -l -c -J -B -R -s -D")
_INDEXES = {
    "pip": ("pypi.org", "files.pythonhosted.org"),
    "uv": ("pypi.org", "files.pythonhosted.org"),
    "conda": ("repo.anaconda.com", "conda.anaconda.org"),
    "npm": ("registry.npmjs.org",),
    "yarn": ("registry.yarnpkg.com",),
    "gem": ("rubygems.org",),
    "apt": ("deb.debian.org",),
}
_LOOKS = names(
    "list show freeze check search info ls view outdated --version -v -V help config-list why"
    " cache-dir policy"
)
_LINK = re.compile(r"[a-z][a-z0-9+.-]*://[^\s'\"<>]+", re.IGNORECASE)


def host_of(text: str, *, bare: bool = False) -> str:
    """Return the host that a link names, in lower case; empty when it names none.

    Args:
        text: A link, or a host and a path where `bare`.
        bare: Whether a link may lack its scheme.
    """
    text = text.strip()
    if "://" not in text:
        if not bare:
            return ""
        text = f"http://{text}"
    try:
        host = urlsplit(
            re.sub(r"^[a-z0-9+]+::|^git\+", "", text, flags=re.IGNORECASE).replace("\\", "/")
        ).hostname
    except ValueError:
        return ""
    return (host or "").rstrip(".").lower()


def _file_name(link: str) -> str:
    path = re.sub(r"^\w+://", "", link).split("?")[0].split("#")[0].partition("/")[2]
    return posixpath.basename(path) or "index.html"


def remote_host(text: str) -> str:
    """Return the host of `user@host:path` or of a link; empty for a path here."""
    if "://" in text:
        return host_of(text)
    match = re.match(r"(?:[^@/\s]+@)?(\[[^\]/]+\]|[^:/@\s]+)::?(?!\\)", text)
    return match[1].strip("[]").lower() if match else ""


def links_in(text: str) -> list[str]:
    """Return the hosts of all links in a text."""
    return [host for link in _LINK.findall(text) if (host := host_of(link))]


def reach(runner: Runner, words: Sequence[Word], *, bare: bool = True) -> None:
    """Note the hosts that links name."""
    runner.found.effects.add("network")
    for word in words:
        if word.text.lower().startswith("file:"):
            runner.reads([Word("/" + word.text[5:].lstrip("/"), word.dynamic)])
        host = "" if word.dynamic and re.match(r'["$`]', word.text) else host_of(word.text, bare=bare)
        if (
            re.search(r"[$`{}\[*]", host)
            or not host
            or (word.dynamic and not re.match(r"\w+://[\w.-]+[/:?#]", word.text))
        ):
            runner.found.vague(f"Which host `{word.text}` names cannot be known.")
        else:
            runner.found.reach(host)
        if word.dynamic:
            runner.found.vague(f"What `{word.text}` sends cannot be known.")


def curl(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note what `curl` fetches or sends, and what it writes."""
    runner.note(name, words)
    parsed = options(words[1:], _CURL_VALUED.split())
    _fetches(runner, name, parsed, [*parsed.operands, *parsed.values("--url")])
    if parsed.has("-K", "--config", "--libcurl", "--variable"):
        runner.found.unknown("curl takes options from elsewhere.")
    for proxy in parsed.values(
        "-x", "--proxy", "--preproxy", "--socks5", "--socks5-hostname", "--socks4", "--doh-url"
    ):
        reach(runner, [proxy])
    for pair in parsed.values("--connect-to", "--resolve"):
        runner.found.vague(f"`{pair.text}` changes which host is reached.")
    outputs = parsed.values(
        "-o", "--output", "-D", "--dump-header", "-c", "--cookie-jar", "--trace", "--trace-ascii"
    )
    outputs += parsed.values("--stderr", "--etag-save", "--hsts", "--alt-svc")
    folders = parsed.values("--output-dir")
    if outputs and folders:
        outputs = [Word(posixpath.join(folders[0].text, word.text), word.dynamic) for word in outputs]
    runner.writes(outputs)
    if parsed.has("-O", "--remote-name", "--remote-name-all", "-J", "--remote-header-name"):
        runner.writes([Word(_file_name(word.text), word.dynamic) for word in parsed.operands])
        runner.writes(folders)
    sent = parsed.values("-T", "--upload-file")
    for word in parsed.values(
        "-d", "--data", "--data-binary", "--data-urlencode", "--json", "-F", "--form", "-H", "-b"
    ):
        if match := re.search(r"(?:^|=)[@<](.+)", word.text):
            sent.append(Word(match[1].partition(";")[0], word.dynamic))
        elif word.dynamic:
            runner.found.vague("What curl sends cannot be known.")
    runner.reads(sent)


def wget(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note what `wget` fetches, and what it writes."""
    runner.note(name, words)
    parsed = options(words[1:], _WGET_VALUED.split())
    _fetches(runner, name, parsed, parsed.operands)
    if parsed.has("-e", "--execute", "-i", "--input-file", "--use-askpass", "--config"):
        runner.found.unknown("wget takes options from elsewhere.")
    folder = parsed.values("-P", "--directory-prefix")
    outputs = parsed.values("-O", "--output-document")
    runner.writes(
        [*outputs, *parsed.values("-o", "-a", "--output-file", "--append-output", "--save-cookies")]
    )
    if not outputs:
        names = [Word(_file_name(word.text), word.dynamic) for word in parsed.operands]
        runner.writes(
            [Word(posixpath.join(folder[0].text, w.text), w.dynamic or folder[0].dynamic) for w in names]
            if folder
            else names
        )
    runner.reads(parsed.values("--post-file", "--body-file"))


def _fetches(runner: Runner, name: str, parsed: Parsed, links: Sequence[Word]) -> None:
    if any(option == "?" for option, _ in parsed.options):
        runner.found.undecided(f"The options of {name} are not known.")
    if not links:
        runner.found.effects.add("network" if not parsed.has("--version", "--help", "-V") else "reads")
    else:
        reach(runner, links)


def connect(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note the host of a connection over which anything may go."""
    runner.note(name, words)
    parsed = options(
        words[1:],
        names("-p -i -l -o -F -L -R -D -J -b -c -E -e -m -O -Q -S -W -w -s -x -q -T"),
        permute=False,
    )
    runner.found.effects.add("network")
    if parsed.operands:
        text = parsed.operands[0].text
        host = host_of(text) if "://" in text else remote_host(text + ":")
        if parsed.operands[0].dynamic or not host:
            runner.found.vague("Which host is reached cannot be known.")
        else:
            runner.found.reach(host)
    for jump in parsed.values("-J"):
        reach(runner, [jump])
    runner.found.unknown(f"What {name} does there is not known.")


def copy(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note what is copied between hosts, or here."""
    runner.note(name, words)
    found = runner.found
    valued = _RSYNC_VALUED if name == "rsync" else _SCP_VALUED
    parsed = options(words[1:], valued)
    if parsed.has("-e", "--rsh", "--rsync-path", "?", "-F") or (
        name != "rsync" and parsed.has("-S", "-o", "-J")
    ):
        found.unknown(f"{name} may run programs by these options.")
    if any(word.glob and word.may_be_option for word in parsed.operands):
        found.undecided(f"The options of {name} are not known.")
    for word in parsed.operands:
        if host := remote_host(word.text):
            found.reach(host)
            found.effects.add("network")
    if name != "rsync":
        found.effects.add("network")
    sources = [word for word in parsed.operands[:-1] if not remote_host(word.text)]
    runner.reads(sources)
    target = [word for word in parsed.operands[-1:] if not remote_host(word.text)]
    runner.writes(target if len(parsed.operands) > 1 else [])
    runner.writes(parsed.values("--backup-dir", "--log-file", "--partial-dir", "--temp-dir"))
    if parsed.has("--delete", "--delete-after", "--delete-before", "--delete-excluded", "--del"):
        runner.deletes(target)
    if parsed.has("--remove-source-files"):
        runner.deletes(sources)


def packages(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note what a manager of packages fetches and runs."""
    runner.note(name, words)
    found = runner.found
    rest = [word for word in words[1:] if not word.text.startswith("-")]
    verb = rest[0].text if rest else next((word.text for word in words[1:]), "")
    if verb in _LOOKS and not any(word.dynamic for word in rest[:1]):
        found.effects.add("reads")
        return
    found.execute()
    if verb in {"test", "t", "run", "run-script", "start", "exec", "x", "tool"} and name not in {
        "pip",
        "pip3",
    }:
        return
    found.effects.add("writes")
    key = re.sub(r"3$|-get$|^pnpm$|^micromamba$|^mamba$", "", name) or ("npm" if name == "pnpm" else "conda")
    given = [host for word in words[1:] for host in links_in(word.text)]
    found.reach(*given)
    if not any(re.match(r"-i$|--index-url|--registry", word.text) for word in words[1:]) or not given:
        found.reach(*_INDEXES.get(key, ()))
    if key not in _INDEXES:
        found.unknown(f"{name} may change programs.")


def look_up(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note the hosts of look-ups and pings."""
    runner.note(name, words)
    parsed = options(words[1:], names("-c -i -w -W -t -s -p -q"))
    if any(option == "?" for option, _ in parsed.options) or any(word.dynamic for word in parsed.operands):
        runner.found.vague("Which host is reached cannot be known.")
    runner.found.effects.add("network")
    runner.found.reach(
        *(host_of(word.text.lstrip("@"), bare=True) for word in parsed.operands if not word.dynamic)
    )


HANDLERS = {
    "curl": curl,
    "wget": wget,
    **dict.fromkeys(names("nc ncat netcat telnet ssh ftp socat mosh tftp lftp openssl"), connect),
    **dict.fromkeys(("scp", "sftp", "rsync", "rcp"), copy),
    **dict.fromkeys(
        names(
            "pip pip3 uv npm yarn pnpm conda mamba micromamba gem apt apt-get apk dnf yum brew snap pacman"
            " dpkg rpm pipx flatpak"
        ),
        packages,
    ),
    **dict.fromkeys(names("ping ping6 dig host nslookup traceroute whois"), look_up),
}

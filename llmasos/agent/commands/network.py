"""Programs that reach hosts."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from .simple import Parsed, Runner, options
from .table import names
from .words import Word

_CURL_WRITES = names(
    "-o --output -D --dump-header -c --cookie-jar --trace --trace-ascii --stderr --etag-save --hsts --alt-svc"
)
_CURL_PROXIES = names("-x --proxy --preproxy --socks5 --socks5-hostname --socks4 --socks4a --doh-url")
_CURL_SENDS = names("-d --data --data-binary --data-urlencode --json -F --form -H -b -w --write-out")
_CURL_VALUED = (
    _CURL_WRITES
    | _CURL_PROXIES
    | _CURL_SENDS
    | names(
        "-X -A -e -u -T -U -m -r -C -E -Y -y -z --data-raw --header --request --user-agent --referer"
        " --user --cookie --form-string --upload-file --proxy-user --max-time --connect-timeout --retry"
        " --retry-delay --retry-max-time --range --cert --key --cacert --capath --resolve --connect-to"
        " --url --output-dir --interface --limit-rate --max-filesize --etag-compare --max-redirs --pass"
        " --proto --proto-default --continue-at --time-cond --ciphers --tls-max --noproxy --oauth2-bearer"
        " --url-query --speed-limit --speed-time --keepalive-time --local-port"
    )
)
_CURL_HARMLESS = _CURL_VALUED | names(
    "-O -J -R -s -S -f -L -k -v -i -I -g -G -N -# -0 -1 -2 -3 -4 -6 -a -j -l -n -p -q -V -h --fail"
    " --silent --show-error --location --insecure --verbose --include --head --globoff --get --no-buffer"
    " --progress-bar --http1.0 --http1.1 --http2 --http3 --compressed --create-dirs --remote-name"
    " --remote-name-all --remote-header-name --remote-time --fail-with-body --fail-early --basic --digest"
    " --anyauth --no-progress-meter --tlsv1 --tlsv1.2 --tlsv1.3 --ssl --ssl-reqd --ipv4 --ipv6"
    " --retry-connrefused --retry-all-errors --path-as-is --raw --version --help --no-keepalive --parallel"
    " --tcp-nodelay --location-trusted --post301 --post302 --disable --append --styled-output --next"
    " --trace-time"
)
_WGET_WRITES = names("-o -a --output-file --append-output --save-cookies --rejected-log --hsts-file")
_WGET_VALUED = _WGET_WRITES | names(
    "-O -P -U -t -T -w -Q -l -A -R -D -I -X --output-document --directory-prefix --user-agent --tries"
    " --timeout --wait --header --post-data --post-file --body-data --body-file --method --level --user"
    " --password --referer --load-cookies --limit-rate --accept --reject --domains --exclude-domains"
    " --exclude-directories --include-directories --max-redirect --waitretry --connect-timeout"
    " --read-timeout --dns-timeout --quota --cut-dirs --accept-regex --reject-regex --http-user"
    " --http-password --ca-certificate --restrict-file-names"
)
_WGET_CHOSEN = names(
    "-r -m -p --recursive --mirror --page-requisites --content-disposition --trust-server-names"
)
_WGET_HARMLESS = _WGET_VALUED | names(
    "-q -v -n -d -c -N -S -r -m -p -k -K -E -L -H -4 -6 -b -V -h -x --quiet --verbose --no-verbose"
    " --continue --timestamping --server-response --recursive --mirror --page-requisites --convert-links"
    " --adjust-extension --no-parent --no-clobber --no-check-certificate --show-progress --spider"
    " --no-directories --no-host-directories --force-directories --content-disposition"
    " --trust-server-names --inet4-only --inet6-only --version --help --no-cache --no-cookies"
    " --keep-session-cookies --progress --random-wait --no-proxy --span-hosts --relative"
    " --backup-converted --no-config --https-only --background --delete-after --retry-connrefused"
    " --compression"
)
_RSYNC_VALUED = names(
    "-e --rsh -f --filter --exclude --include --exclude-from --include-from --files-from --bwlimit"
    " --rsync-path --port --partial-dir --temp-dir --backup-dir --log-file --password-file --timeout"
)
_RSYNC_HARMLESS = names(
    "-a -v -z -r -l -p -t -g -o -D -H -A -X -n -u -i -h -P -q -c -x -b -R -S -W -k -L -K -d -m -y -4 -6 -0"
    " -O -J -I -s -f -E -U -N -C --archive --verbose --compress --recursive --links --perms --times"
    " --group --owner --dry-run --update --itemize-changes --human-readable --progress --partial"
    " --partial-dir --delete --delete-after --delete-before --delete-during --delete-excluded --del"
    " --exclude --include --exclude-from --include-from --files-from --filter --bwlimit --stats --info"
    " --checksum --ignore-existing --existing --size-only --backup --backup-dir --suffix --temp-dir"
    " --log-file --list-only --timeout --port --password-file --inplace --append --whole-file"
    " --numeric-ids --no-perms --no-owner --no-group --no-times --chmod --chown --max-size --min-size"
    " --copy-links --safe-links --hard-links --relative --remove-source-files --link-dest --compare-dest"
    " --mkpath --prune-empty-dirs --quiet --force --version --help --out-format --ignore-times"
    " --cvs-exclude --sparse"
)
_SCP_HARMLESS = names("-P -i -l -c -r -p -q -v -C -4 -6 -3 -A -B -O -T -R -s")
_SCP_VALUED = names("-P -i -o -F -S -l -c -J -B -R -s -D")
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
    parsed = options(words[1:], _CURL_VALUED)
    _fetches(runner, name, parsed, [*parsed.operands, *parsed.values("--url")])
    if strange := parsed.first_but(_CURL_HARMLESS):
        runner.found.unknown(f"What curl does by {strange} is not known.")
    for proxy in parsed.values(*_CURL_PROXIES):
        reach(runner, [proxy])
    for pair in parsed.values("--connect-to", "--resolve"):
        runner.found.vague(f"`{pair.text}` changes which host is reached.")
    if any("%output" in word.text for word in parsed.values("-w", "--write-out")):
        runner.found.unknown("curl writes other files by its format.")
    outputs = parsed.values(*_CURL_WRITES)
    folders = parsed.values("--output-dir")
    if outputs and folders:
        outputs = [Word(posixpath.join(folders[0].text, word.text), word.dynamic) for word in outputs]
    runner.writes(outputs)
    if parsed.has("-O", "--remote-name", "--remote-name-all", "-J", "--remote-header-name"):
        runner.writes([Word(_file_name(word.text), word.dynamic) for word in parsed.operands])
        runner.writes(folders)
    sent = parsed.values("-T", "--upload-file")
    for word in parsed.values(*_CURL_SENDS):
        if match := re.search(r"(?:^|=)[@<](.+)", word.path.text):
            sent.append(Word(match[1].partition(";")[0], word.path.dynamic))
        elif word.dynamic:
            runner.found.vague("What curl sends cannot be known.")
    if any(word.path.dynamic for word in sent):
        runner.found.vague("Which file curl sends cannot be known.")
    runner.reads(sent)


def wget(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note what `wget` fetches, and what it writes."""
    runner.note(name, words)
    parsed = options(words[1:], _WGET_VALUED)
    _fetches(runner, name, parsed, parsed.operands)
    if strange := parsed.first_but(_WGET_HARMLESS):
        runner.found.unknown(f"What wget does by {strange} is not known.")
    if parsed.has(
        "-r",
        "-m",
        "--recursive",
        "--mirror",
        "-p",
        "--page-requisites",
        "--content-disposition",
        "--trust-server-names",
    ):
        runner.found.vague("The host says which files wget writes.")
        runner.found.effects.add("writes")
    folder = parsed.values("-P", "--directory-prefix")
    outputs = parsed.values("-O", "--output-document")
    runner.writes([*outputs, *parsed.values(*_WGET_WRITES)])
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
    found = runner.found
    if name != "sftp":
        runner.note(name, words)
    valued = _RSYNC_VALUED if name == "rsync" else _SCP_VALUED
    parsed = options(words[1:], valued)
    if strange := parsed.first_but(_RSYNC_HARMLESS if name == "rsync" else _SCP_HARMLESS):
        found.unknown(f"{name} may run programs by {strange}.")
    if name == "sftp":
        connect(runner, name, words, stdin)
        return
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
    **dict.fromkeys(names("ping ping6 dig host nslookup traceroute whois"), look_up),
}

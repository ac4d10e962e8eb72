"""Text as tables: CSV in any of the usual encodings, with numbers as people write them; and JSON."""

from __future__ import annotations

import codecs
import os
import re
from typing import Any, Sequence

from .tables import DataError, Names, Source, identifier, quoted, reason, view

ENDINGS = (".csv", ".tsv", ".txt", ".tab", ".gz")
LOOKED_AT = 1 << 20  # bytes of a file
_LARGEST_RECODED = 300_000_000
_PIECE = 1 << 20
_MOST_ABOVE = 20  # lines above a table
_FIRST = 1000  # rows that say which columns may be numbers
_MOST_LISTS = 20
_MONTHS = 12

_NONE = r"(?i)\s*(n/?a|null|none|nan|[-–—])?\s*"
# Numbers as text: how each value is written, how one is at least, and what is taken out. Digits that begin with 0 or
# are divided by spaces alone are no numbers: codes and telephone numbers are written so.
_EACH = r"\s*[-−]?\s*[$€£¥]?\s*(0|[1-9]\d*|[1-9]\d{0,2}((%s\d{3})+|([ \x{a0}\x{202f}'’]\d{3})+))(%s\d+)?\s*[€$£¥%%]?\s*"
_END = r"\s*[€$£¥%]?\s*"
_WRITTEN = (
    # 1,234 may be more than a thousand: one value has to tell.
    (
        "a decimal comma",
        _EACH % (r"\.", ","),
        r".*(,(\d{1,2}|\d{4,})|\.\d{3},\d+|\b0,\d+)" + _END,
        r"[^-\d,]",
    ),
    (
        "signs or groups of digits",
        _EACH % (",", r"\."),
        r".*([$€£¥%]|\d[,'’\x{a0}\x{202f}]\d{3}).*",
        r"[^-\d.]",
    ),
)


def read_csv(con: Any, path: str, names: Names, head: bytes, opened: list[str]) -> Source:
    """Make a table of a text with columns.

    Args:
        con: The connection.
        path: The file.
        names: Names of tables.
        head: How it begins.
        opened: Takes what DuckDB reads at each query.

    Raises:
        DataError: It cannot be read, or has no rows.
    """
    notes: list[str] = []
    packed = path.lower().endswith(".gz")
    encoding = "utf-8" if packed else encoding_of(head)
    if b"\0" in head and encoding != "utf-16" and not packed:
        raise DataError("%s is no text: it is binary." % path)
    options = ["null_padding=true", "ignore_errors=true", "store_rejects=true"]
    tabs = path.lower().endswith((".tsv", ".tab"))
    if tabs:
        options.append("delim='\\t'")
    place, recoded = path, ""
    if encoding == "utf-16":
        options.append("encoding='utf-16'")
    elif encoding != "utf-8":
        place, recoded = _recoded(path, encoding, len(opened)), encoding
    if encoding != "utf-8":
        notes.append("its text is in %s" % encoding.upper())
    delimiter, dates = _sniffed(con, place, encoding)
    delimiter = "\t" if tabs else delimiter
    above = [] if packed else _above(head.decode(encoding, "replace"), delimiter)
    if above:
        options.append("skip=%d" % len(above))
        notes.append("its table begins below: %s" % "; ".join(filter(None, map(str.strip, above)))[:200])
    table = names.of(path)
    reader = "read_csv(%s, %s)"
    try:
        view(con, table, "SELECT * FROM " + reader % (quoted(place), ", ".join(options)), path)
    except DataError:
        # Lines that end in several ways are one reason; as Python reads lines, they end in one.
        place, recoded = _recoded(path, encoding, len(opened)), encoding
        options = [one for one in options if not one.startswith("encoding=")]
        view(con, table, "SELECT * FROM " + reader % (quoted(place), ", ".join(options)), path)
    if os.path.getsize(place) <= _LARGEST_RECODED:
        try:
            con.execute("SELECT count(*) FROM %s" % table).fetchone()
        except Exception as error:
            if "null_padding" not in str(error):
                raise DataError("%s cannot be read: %s." % (path, reason(error))) from None
            # Fields with line breaks are read by one thread only.
            options.append("parallel=false")
            view(con, table, "SELECT * FROM " + reader % (quoted(place), ", ".join(options)), path)
    opened.append(place)
    if not con.execute("SELECT 1 FROM %s LIMIT 1" % table).fetchall():
        raise DataError("%s has a header at most, and no rows." % path)
    described = con.execute("DESCRIBE %s" % table).fetchall()
    unnamed = [row[0] for row in described if re.fullmatch(r"column\d+", row[0])]
    if unnamed and len(unnamed) < len(described):
        notes.append("some lines have more fields than the header: %s" % ", ".join(unnamed))
    notes += _either_way(con, table, [row[0] for row in described if row[1] == "DATE"], dates)
    texts = [row[0] for row in described if row[1] == "VARCHAR"]
    # Where semicolons divide, 1,234 may be more than a thousand.
    numbers = _numbers(con, table, texts, _WRITTEN[:1] if delimiter == ";" else _WRITTEN, notes)
    query = "SELECT *%s FROM %s" % (numbers, reader)
    if numbers:
        view(con, table, query % (quoted(place), ", ".join(options)), path)
    return Source(table, path, "", notes, query % (quoted(path), ", ".join(options)), recoded)


def encoding_of(head: bytes) -> str:
    """Return the encoding of a text that begins so."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    for encoding in ("utf-8", "gb18030"):
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            text = decoder.decode(head, final=len(head) < LOOKED_AT)
        except UnicodeDecodeError:
            continue
        if encoding == "utf-8" or _is_chinese(text):
            return encoding
    return "cp1252"


def _is_chinese(text: str) -> bool:
    """Return whether most signs are common ones: an umlaut and the letter after it make a rare one."""
    signs = [sign for sign in text if not sign.isascii()]
    return len("".join(signs).encode("gb2312", "ignore")) > len(signs)


def _recoded(path: str, encoding: str, number: int) -> str:
    """Return where a text lies in UTF-8, with one kind of line ends."""
    if os.path.getsize(path) > _LARGEST_RECODED:
        raise DataError("%s is in %s, and too large for that; save it in UTF-8." % (path, encoding.upper()))
    place = "/tmp/recoded-%d.csv" % number
    with (
        open(path, encoding=encoding, errors="replace") as old,
        open(place, "w", encoding="utf-8", newline="") as new,
    ):
        while True:
            piece = old.read(_PIECE)
            if not piece:
                return place
            new.write(piece)


def _sniffed(con: Any, place: str, encoding: str) -> tuple[str, str]:
    """Return what divides a line, and how dates are written; nothing where that cannot be told."""
    options = ", encoding='utf-16'" if encoding == "utf-16" else ""
    try:
        found = con.execute("SELECT Delimiter, DateFormat FROM sniff_csv(%s%s)" % (quoted(place), options))
        delimiter, dates = found.fetchone()
    except Exception:
        # What is wrong with the file is told by reading it.
        return "", ""
    return str(delimiter), str(dates or "")


def _either_way(con: Any, table: str, columns: list[str], dates: str) -> list[str]:
    """Return notes on dates that may begin with the day or the month: no day is above 12."""
    order = re.match(r"%([dm])[-/ ]%([dm])[-/ ]", dates)
    notes = []
    for column in columns if order else ():
        last, count = con.execute(
            "SELECT max(day(%s)), count(%s) FROM %s" % (identifier(column), identifier(column), table)
        ).fetchone()
        if count and last <= _MONTHS:
            first = "day" if order and order[1] == "d" else "month"
            notes.append("dates of %s may begin with day or month, and are read %s first" % (column, first))
    return notes


def _above(head: str, delimiter: str) -> list[str]:
    """Return the lines above a table: titles, in which nothing is divided."""
    lines = head.splitlines()[: _MOST_ABOVE + 1]
    for number, line in enumerate(lines):
        if '"' in line:
            return []
        if delimiter and delimiter in line.strip(delimiter):
            return lines[:number]
    return []


def _numbers(
    con: Any, table: str, columns: list[str], ways: Sequence[tuple[str, str, str, str]], notes: list[str]
) -> str:
    """Return what makes numbers of the columns that have nothing else, written as people do."""
    made: dict[str, str] = {}
    for how, each, one, taken in ways:
        for column in columns:
            if column in made:
                continue
            name = identifier(column)
            shown = _as_written(con, "SELECT %s AS v FROM %s" % (name, table), each, one)
            if shown:
                notes.append("%s is written with %s, such as %s, and read as numbers" % (column, how, shown))
                plain = "regexp_replace(replace(%s, '−', '-'), %s, '', 'g')" % (name, quoted(taken))
                made[column] = "TRY_CAST(replace(%s, ',', '.') AS DOUBLE) AS %s" % (plain, name)
    return " REPLACE (%s)" % ", ".join(made.values()) if made else ""


def _as_written(con: Any, values: str, each: str, one: str) -> str:
    """Return one of the values, when all are written in a way; nothing otherwise."""
    shown = ""
    for rows in ("%s LIMIT %d" % (values, _FIRST), values):
        others, some, signs, count, shown = con.execute(
            "SELECT count(*) FILTER (NOT regexp_full_match(v, ?)), count(*) FILTER (regexp_full_match(v, ?)), "
            "count(*) FILTER (contains(v, '%')), count(*), max(v) FILTER (regexp_full_match(v, ?)) "
            "FROM (" + rows + ") WHERE NOT regexp_full_match(v, ?)",
            [each, one, one, _NONE],
        ).fetchone()
        if others or not some or signs not in (0, count):
            return ""
    return str(shown)


def read_json(con: Any, path: str, names: Names) -> list[Source]:
    """Make a table of each list of objects that a JSON file has.

    Raises:
        DataError: It cannot be read.
    """
    table = names.of(path)
    options = "maximum_object_size=50000000"
    lines = ", sample_size=-1, format='newline_delimited', ignore_errors=true"
    tried = ["", ", sample_size=-1"] + ([lines] if path.lower().endswith((".jsonl", ".ndjson")) else [])
    notes: list[str] = []
    wrong: Exception | None = None
    for more in tried:
        query = "SELECT * FROM read_json_auto(%s, %s%s)" % (quoted(path), options, more)
        try:
            con.execute("CREATE OR REPLACE VIEW %s AS %s" % (table, query))
            if os.path.getsize(path) <= _LARGEST_RECODED:
                con.execute("SELECT count(COLUMNS(*)) FROM %s" % table).fetchall()
        except Exception as error:
            wrong = wrong or error
            continue
        if more == lines:
            query = _readable(con, table, query, path, notes)
            view(con, table, query, path)
        return _lists(con, Source(table, path, "", notes, query), names)
    raise DataError("%s cannot be read: %s." % (path, reason(wrong or Exception())))


def _readable(con: Any, table: str, query: str, path: str, notes: list[str]) -> str:
    """Return a query for the lines that could be read; of the others, every column is missing."""
    columns = [identifier(row[0]) for row in con.execute("DESCRIBE %s" % table).fetchall()]
    query += " WHERE NOT (%s)" % " AND ".join("%s IS NULL" % column for column in columns)
    kept = con.execute("SELECT count(*) FROM (%s)" % query).fetchone()[0]
    count = con.execute("SELECT count(*) FROM %s" % table).fetchone()[0]
    if 2 * kept <= count:
        raise DataError("%s cannot be read: %s of its %s lines are no JSON." % (path, count - kept, count))
    notes.append("%s lines cannot be read and are left out" % format(count - kept, ","))
    return query


def _lists(con: Any, source: Source, names: Names) -> list[Source]:
    """Return a table for each list of objects, where these are all that a file is."""
    if con.execute("SELECT count(*) FROM (SELECT 1 FROM %s LIMIT 2)" % source.table).fetchone()[0] != 1:
        return [source]
    relation = con.table(source.table)
    found: list[tuple[str, ...]] = []

    def look(kind: Any, way: tuple[str, ...]) -> None:
        if kind.id == "struct":
            for name, inner in kind.children:
                look(inner, (*way, name))
        elif kind.id == "list" and kind.children[0][1].id == "struct":
            found.append(way)

    for name, kind in zip(relation.columns, relation.types):
        look(kind, (name,))
    made = []
    for way in found[:_MOST_LISTS]:
        place = ".".join(map(identifier, way))
        query = "SELECT unnest(%s, max_depth := 2) FROM (%s)" % (place, source.query)
        one = Source(names.of(way[-1]), source.file, ".".join(way), source.notes, query)
        view(con, one.table, query, source.file)
        if con.execute("SELECT 1 FROM %s LIMIT 1" % one.table).fetchall():
            made.append(one)
    return made or [source]

"""Programs that convert pictures, sound, films and documents: what they read and write, and nothing else."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .network import links_in
from .simple import Runner, options
from .table import names
from .words import Word

_COUNTER = re.compile(r"%0?\d*d")
_SCHEME = re.compile(r"[\w.+-]{2,}:")


@dataclass
class Dashed:
    """The words of a program whose options are whole words after one dash.

    Args:
        options: Options with their values.
        operands: The other words.
        strange: The first word that may be an option that is not known; empty when there is none.
    """

    options: list[tuple[str, Word]] = field(default_factory=list)
    operands: list[Word] = field(default_factory=list)
    strange: str = ""

    def values(self, *named: str) -> list[Word]:
        """Return the values of these options."""
        return [value for option, value in self.options if option in named]

    def has(self, *named: str) -> bool:
        """Return whether one of these options is given."""
        return any(option in named for option, _ in self.options)


def dashed(words: Sequence[Word], flags: frozenset[str], valued: frozenset[str], signs: str = "-") -> Dashed:
    """Return the options and operands of a program, each option known by its whole name.

    Args:
        words: Its words, without its name.
        flags: Options without a value.
        valued: Options with one, which may be told to which stream they belong after a colon.
        signs: What options begin with.
    """
    found, rest = Dashed(), list(words)
    while rest:
        word = rest.pop(0)
        bare = word.text.partition(":")[0]
        if not word.may_be_option and not (word.text[:1] in signs and len(word.text) > 1):
            found.operands.append(word)
        elif word.dynamic or word.glob or (word.text not in flags and bare not in valued):
            found.strange = found.strange or word.text
            found.operands.append(word)
        elif word.text in flags:
            found.options.append((word.text, Word("")))
        else:
            value = rest.pop(0) if rest else Word("")
            if not value.single:
                found.strange = found.strange or value.text
            found.options.append((bare, value))
    return found


_FILM_FLAGS = names(
    "-y -n -hide_banner -nostdin -nostats -stats -vn -an -sn -dn -shortest -copyts -version -formats -codecs"
    " -encoders -decoders -filters -accurate_seek"
)
_FILM_VALUED = names(
    "-i -c -codec -vcodec -acodec -scodec -b -ab -vb -crf -preset -r -s -ss -sseof -to -t -ar -ac -q -qscale"
    " -pix_fmt -map -metadata -loglevel -v -threads -aspect -vframes -aframes -frames -movflags -profile"
    " -level -tune -g -bf -loop -itsoffset -map_metadata -map_chapters -maxrate -minrate -bufsize -framerate"
    " -start_number -f -vf -af -filter -filter_complex -disposition -tag -compression_level -stream_loop"
    " -update -vsync -fps_mode -strict -max_muxing_queue_size -bsf"
)
_FILM_FORMATS = names(
    "mp4 mov matroska webm mp3 wav flac ogg opus adts avi gif image2 null rawvideo ipod s16le srt webvtt ass"
    " mpegts"
)
_FILM_FILTERS = names(
    "scale crop pad fps transpose hflip vflip rotate setpts asetpts atempo volume loudnorm format trim atrim"
    " concat overlay palettegen paletteuse split asplit fade afade eq hue drawbox boxblur gblur unsharp yadif"
    " select aselect setsar setdar reverse areverse amix amerge aresample aformat highpass lowpass tile"
    " thumbnail null anull silenceremove silencedetect dynaudnorm hstack vstack xfade acrossfade volumedetect"
    " showwavespic tpad apad minterpolate mpdecimate cropdetect"
)
_FILTER = re.compile(r"(?:\s*\[[\w:]+\])*\s*(\w+)(?:=[^'\[\]\\]*)?(?:\s*\[[\w:]+\])*\s*")
_FILMS = re.compile(
    r".*\.(mp4|mov|mkv|webm|avi|mp3|wav|flac|og[agv]|opus|m4[av]|aac|gif|png|jpe?g|webp|bmp|tiff?|ts|mpe?g|wmv"
    r"|srt|vtt|ass|aiff?|mka|3gp)",
    re.IGNORECASE | re.DOTALL,
)
_PROBES = names(
    "-hide_banner -show_format -show_streams -show_chapters -show_packets -show_frames -count_frames"
    " -count_packets -pretty -sexagesimal -unit -version"
)
_PROBES_VALUED = names("-v -loglevel -i -show_entries -of -print_format -select_streams -read_intervals")


def film(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note the films, sounds and pictures that `ffmpeg` reads and writes."""
    runner.note(name, words)
    parsed = dashed(words[1:], _FILM_FLAGS, _FILM_VALUED)
    strange = parsed.strange
    for value in parsed.values("-f"):
        strange = strange or ("" if value.text in _FILM_FORMATS else f"-f {value.text}")
    for value in parsed.values("-vf", "-af", "-filter", "-filter_complex"):
        strange = strange or ("" if not value.dynamic and _are_filters(value.text) else value.text)
    outputs = [word for word in parsed.operands if word.text not in {"-", "pipe:1"}]
    for word in outputs:
        strange = strange or ("" if _FILMS.fullmatch(word.place or word.text.strip('"')) else word.text)
    _converts(runner, name, strange, parsed.values("-i"), outputs)


def _are_filters(text: str) -> bool:
    found = [_FILTER.fullmatch(part) for part in re.split(r"[,;]", re.sub(r"'[^']*'", "_", text))]
    return all(match and match[1] in _FILM_FILTERS for match in found)


def probe(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note what `ffprobe` looks at."""
    runner.note(name, words)
    parsed = dashed(words[1:], _PROBES, _PROBES_VALUED)
    _converts(runner, name, parsed.strange, [*parsed.values("-i"), *parsed.operands], [])


_PICTURE_FLAGS = names(
    "-strip -auto-orient -flip -flop -negate -normalize -equalize -monochrome -trim -append +append -flatten"
    " -coalesce -enhance -despeckle -contrast -antialias +antialias -auto-level -auto-gamma -verbose -quiet"
    " -repage +repage -adjoin +adjoin -version -ping -transverse -transpose -matte +matte +dither"
    " -unique-colors -clamp -reverse -mosaic +delete"
)
_PICTURE_VALUED = names(
    "-resize -quality -crop -gravity -background -fill -stroke -strokewidth -rotate -density -depth"
    " -colorspace -extent -geometry -border -bordercolor -blur -gaussian-blur -sharpen -unsharp -thumbnail"
    " -scale -sample -type -compress -format -fuzz -pointsize -size -delay -loop -dispose -interlace -alpha"
    " -modulate -brightness-contrast -level -gamma -threshold -colors -posterize -shave -chop -splice -units"
    " -sampling-factor -tile -frame -kerning -opacity -compose -channel -page -metric -layers -transparent"
    " -opaque -sepia-tone -filter -interpolate -orient -path -grayscale -deskew -dither +profile -limit"
    " -clone -delete -contrast-stretch -colorize -tint -vignette -charcoal -edge -emboss"
)
# Neither a coder, such as msl: or https:, nor a list of files, a pipe, or what a wildcard may make one.
_PICTURE = re.compile(
    r"(?:[\w./][^:|@]*\.(?:jpe?g|png|gif|webp|bmp|tiff?|ico|heic|avif|pdf|p[bgpn]m)(?:\[[\dx+,-]*\])?)"
    r"|(?:xc|canvas):[\w#(),.%]+|[()]",
    re.IGNORECASE | re.DOTALL,
)


def picture(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note the pictures that ImageMagick reads and writes."""
    runner.note(name, words)
    rest = list(words[1:])
    tool = name
    if name == "magick":
        tool = rest.pop(0).text if rest and rest[0].text in PICTURES else "convert"
    parsed = dashed(rest, _PICTURE_FLAGS, _PICTURE_VALUED, "-+")
    strange = parsed.strange
    for word in parsed.operands:
        strange = strange or ("" if _PICTURE.fullmatch(word.place or word.text.strip('"')) else word.text)
    for option, value in parsed.options:
        if value.dynamic or (option != "-format" and re.search(r"[:|@]", value.text)):
            strange = strange or value.text
    files = [word for word in parsed.operands if not re.match(r"\w+:|[()]$", word.text)]
    if tool == "identify":
        _converts(runner, name, strange, files, [])
    elif tool == "mogrify":
        folders, endings = parsed.values("-path"), parsed.values("-format")
        made = [_made(word.path, folders, endings) for word in files]
        _converts(runner, name, strange, files, made)
    else:
        _converts(runner, name, strange, files[:-1], [*files[-1:], *parsed.values("-path")])


def _made(word: Word, folders: Sequence[Word], endings: Sequence[Word]) -> Word:
    """Return the picture that is made of one in its place."""
    folder, base = posixpath.split(word.text)
    stem = posixpath.splitext(base)[0]
    return Word(
        posixpath.join(
            folders[-1].text if folders else folder, f"{stem}.{endings[-1].text}" if endings else base
        ),
        word.dynamic,
    )


_DOCUMENT_FILES = names(
    "--template --reference-doc --bibliography --csl --citation-abbreviations --metadata-file -H"
    " --include-in-header -B --include-before-body -A --include-after-body --abbreviations"
)
_DOCUMENT_VALUED = _DOCUMENT_FILES | names(
    "-f --from -r --read -t --to -w --write -o --output -M --metadata -V --variable --toc-depth --wrap"
    " --columns --highlight-style -c --css --shift-heading-level-by --markdown-headings --id-prefix -T"
    " --title-prefix --extract-media --top-level-division --number-offset --eol --dpi --tab-stop"
    " --slide-level --split-level --epub-chapter-level --resource-path --reference-location --track-changes"
    " --ipynb-output"
)
_DOCUMENT_HARMLESS = _DOCUMENT_VALUED | names(
    "-s --standalone --toc --table-of-contents -N --number-sections --citeproc -C --mathjax --mathml --katex"
    " --reference-links --ascii --section-divs --fail-if-warnings --verbose --quiet --version -v --help -h -i"
    " --incremental --list-input-formats --list-output-formats --list-extensions --no-highlight"
    " --preserve-tabs --atx-headers --html-q-tags --listings --strip-comments --sandbox"
)
_TEXTS = re.compile(
    r"(html[45]?|markdown\w*|md|gfm|commonmark\w*|rst|latex|tex|plain|txt|text|org|json|asciidoc\w*|adoc|mediawiki"
    r"|textile|man|jira|dokuwiki|native|beamer|revealjs|typst|opml|docbook[45]?|xml|htm|wiki|csv|tsv|ipynb)"
    r"([+-]\w+)*"
)
# What these name is looked up while they are read.
_FETCHES = re.compile(r"(html?|html5|xhtml|epub|rst)([+-]\w+)*\"?$", re.IGNORECASE)
_HOLDS_PICTURES = re.compile(r"(docx|odt|epub[23]?|pptx|fb2|rtf|icml)([+-]\w+)*")


def document(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note the documents that `pandoc` reads and writes, and whether it fetches the pictures in them."""
    runner.note(name, words)
    found, parsed = runner.found, options(words[1:], _DOCUMENT_VALUED)
    strange = parsed.first_but(_DOCUMENT_HARMLESS)
    outputs = parsed.values("-o", "--output")
    kinds = [word.text for word in parsed.values("-t", "--to", "-w", "--write")] or [
        posixpath.splitext((word.place or word.text).strip('"'))[1][1:]
        for word in outputs
        if word.text != "-"
    ]
    for word in parsed.values("-f", "--from", "-r", "--read"):
        strange = strange or ("" if re.fullmatch(r"[a-z0-9_+-]+", word.text) else word.text)
    for kind in kinds:
        if _HOLDS_PICTURES.fullmatch(kind):
            if not parsed.has("--sandbox"):
                found.reach()
        elif not _TEXTS.fullmatch(kind):
            strange = strange or kind or "what is not said"
    media = parsed.values("--extract-media")
    read = [word.text for word in (*parsed.operands, *parsed.values("-f", "--from", "-r", "--read"))]
    if media or parsed.has("--citeproc", "-C") or any(map(_FETCHES.search, read)):
        found.reach()
    _converts(runner, name, strange, [*parsed.values(*_DOCUMENT_FILES), *parsed.operands], [*outputs, *media])


_PAGE_FLAGS = names(
    "-layout -raw -table -nopgbrk -htmlmeta -bbox -q -v -h -png -jpeg -tiff -gray -mono -singlefile -all"
    " -list -box -meta -isodates -rawdates -svg -j -cropbox -hide-annotations -noimages -simple -nodiag"
)
_PAGE_VALUED = names(
    "-f -l -r -rx -ry -x -y -W -H -enc -eol -opw -upw -scale-to -scale-to-x -scale-to-y -jpegopt"
)


def pages(runner: Runner, name: str, words: Sequence[Word], stdin: str | None) -> None:
    """Note what the tools of Poppler read of a document, and where they put it."""
    runner.note(name, words)
    parsed = dashed(words[1:], _PAGE_FLAGS, _PAGE_VALUED)
    files = parsed.operands
    if name in {"pdfinfo", "pdffonts"} or parsed.has("-list"):
        outputs: list[Word] = []
    elif name == "pdftotext" and len(files) == 1:
        outputs = [Word(posixpath.splitext(files[0].path.text)[0] + ".txt", files[0].path.dynamic)]
    elif name in {"pdftoppm", "pdfimages"}:
        outputs = [Word(f"{word.path.text}*", word.path.dynamic) for word in files[1:]]
    else:
        outputs = files[-1:] if len(files) > 1 else []
    inputs = files[:-1] if name == "pdfunite" else files[:1]
    _converts(runner, name, parsed.strange, inputs, outputs)


def _converts(
    runner: Runner, name: str, strange: str, inputs: Sequence[Word], outputs: Sequence[Word]
) -> None:
    """Note what is read and written, and that anything may be done by what is strange."""
    found = runner.found
    found.effects.add("reads")
    if strange:
        found.unknown(f"What {name} does by {strange} is not known.")
    for word in (*inputs, *outputs):
        if links := links_in(word.text):
            found.reach(*links)
        elif _SCHEME.match(word.text) and not word.dynamic:
            found.unknown(f"What {word.text} leads to is not known.")
    runner.reads(word for word in inputs if word.text != "-" and not links_in(word.text))
    runner.writes(
        Word(_COUNTER.sub("*", word.path.text), word.path.dynamic) for word in outputs if word.text != "-"
    )


PICTURES: Mapping[str, None] = dict.fromkeys(
    names("convert magick mogrify identify montage compare composite")
)
HANDLERS = {
    "ffmpeg": film,
    "ffprobe": probe,
    "pandoc": document,
    **dict.fromkeys(PICTURES, picture),
    **dict.fromkeys(names("pdftotext pdfinfo pdffonts pdftoppm pdfimages pdfunite pdfseparate"), pages),
}

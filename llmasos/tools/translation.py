"""Translating text and files with the session's model."""

from __future__ import annotations

import re

from llmasos.errors import ToolError
from llmasos.tools._text import decode
from llmasos.tools.kernel import Capabilities, KernelContext, kernel_tool

_PIECE = 1200  # characters; small models lose sentences in longer passages
_LARGEST = 2_000_000
_INSTRUCTIONS = (
    "You are a translator. Translate the user's text into {language}. Keep line breaks, Markdown, numbers, "
    "names of files and code as they are. Write nothing but the translation."
)


@kernel_tool(
    capabilities=Capabilities(
        reads=True, writes=True, asks_model=True, targets=("save_as",), sources={"*": "file"}
    ),
    examples=[
        ("how do you say good night in Spanish", 'translate(target_language="Spanish", text="good night")'),
        (
            "把 manual.txt 译成日语，写到 manual.ja.txt",
            'translate(target_language="Japanese", path="manual.txt", save_as="manual.ja.txt")',
        ),
        ("translate poem.txt to Chinese", 'translate(target_language="Chinese", path="poem.txt")'),
    ],
)
async def translate(
    ctx: KernelContext,
    target_language: str,
    text: str | None = None,
    path: str | None = None,
    save_as: str | None = None,
) -> str:
    """Translates a text, or a whole file (path), and can save the translation (save_as).

    Args:
        target_language: The language to translate into.
        text: The text to translate.
        path: The file to translate instead of a text.
        save_as: The file to write the translation to.
    """
    if (text is None) == (path is None):
        raise ToolError("Give translate either a text or a path, not both.")
    if path is not None:
        content = await ctx.sandbox.read(path, limit=_LARGEST)
        if content.size > len(content.data):
            raise ToolError(f"{path} is too large to translate ({content.size:,} bytes).")
        text = decode(content.data, path)
    assert text is not None
    if not text.strip():
        raise ToolError(f"{path or 'The text'} is empty; there is nothing to translate.")

    translated = await _translate(ctx, text, target_language)
    if save_as is None:
        return translated
    if not translated.endswith("\n"):
        translated += "\n"
    await ctx.sandbox.write(save_as, translated.encode())
    lines = translated.count("\n")
    return f"Saved the {target_language} translation, {lines} line{'s' * (lines != 1)}, to {save_as}."


async def _translate(ctx: KernelContext, text: str, language: str) -> str:
    pieces = split(text, _PIECE)
    done: list[str] = []
    for number, piece in enumerate(pieces):
        if len(pieces) > 1:
            ctx.progress(f"Translating into {language}", number, len(pieces), "passages")
        body = piece.strip("\n")
        if not body.strip():
            done.append(piece)
            continue
        lead = piece[: len(piece) - len(piece.lstrip("\n"))]
        tail = piece[len(piece.rstrip("\n")) :]
        answer = await ctx.ask(
            _INSTRUCTIONS.format(language=language), body, max_tokens=max(256, 3 * len(body.encode()) // 2)
        )
        done.append(lead + answer.strip("\n") + tail)
    return "".join(done)


def split(text: str, size: int) -> list[str]:
    """Split a text into pieces of at most `size` characters that join to the same text.

    Pieces end at blank lines where they can, else at line ends, else at sentence ends.
    """
    pieces: list[str] = []
    current = ""
    for part in _parts(text, size):
        if current and len(current) + len(part) > size:
            pieces.append(current)
            current = ""
        current += part
    return [*pieces, current] if current else pieces


def _parts(text: str, size: int) -> list[str]:
    parts = [text]
    for boundary in (r"(?<=\n)(?=\n*[^\n])", r"(?<=[.!?。！？])"):
        parts = [
            piece
            for part in parts
            for piece in (re.split(boundary, part) if len(part) > size else [part])
            if piece
        ]
    return [part[start : start + size] for part in parts for start in range(0, len(part), size)]

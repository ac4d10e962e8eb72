"""The bytes that each token of a tokenizer stands for."""

from __future__ import annotations

import json
import re
from typing import Any

_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>\Z")


class Vocabulary:
    """Tokens as bytes; special tokens have none, since they are not part of a text.

    Args:
        tokenizer: A fast tokenizer of transformers.
        size: Numbers of tokens that the model knows, those without text included.
    """

    def __init__(self, tokenizer: Any, size: int) -> None:
        self.size = size
        self.special = frozenset(tokenizer.all_special_ids)
        self._tokenizer = tokenizer
        self._added = {number: str(token) for number, token in tokenizer.added_tokens_decoder.items()}
        decoder = tokenizer.backend_tokenizer.decoder
        kinds = json.dumps(json.loads(decoder.__getstate__())) if decoder is not None else ""
        self._byte_level = _byte_alphabet() if '"ByteLevel"' in kinds else None
        self._spaces = "\u2581" if "\u2581" in kinds or "\\u2581" in kinds else ""
        self.strips_space = '"Strip"' in kinds or '"Metaspace"' in kinds
        self._known: dict[int, bytes] = {}

    def data(self, token: int) -> bytes:
        """Return the token's bytes."""
        if token not in self._known:
            self._known[token] = self._data(token)
        return self._known[token]

    def label(self, token: int) -> bytes:
        """Return the token's bytes, or the name of a special one."""
        return self._added[token].encode() if token in self._added else self.data(token)

    def _data(self, token: int) -> bytes:
        if token in self.special:
            return b""
        if token in self._added:
            return self._added[token].encode()
        piece = self._tokenizer.convert_ids_to_tokens(token) if token < len(self._tokenizer) else None
        if piece is None:
            return b""
        if self._byte_level is not None:
            return bytes(self._byte_level[character] for character in piece if character in self._byte_level)
        if found := _BYTE_TOKEN.match(piece):
            return bytes([int(found[1], 16)])
        if self._spaces:
            return str(piece).replace(self._spaces, " ").encode()
        return str(self._tokenizer.decode([token])).encode()


def _byte_alphabet() -> dict[str, int]:
    """Return the byte of each character of byte-level vocabularies.

    Source: `bytes_to_unicode` of GPT-2: bytes that can be printed stand for themselves, the others
    for the characters from 256 on.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(others)}

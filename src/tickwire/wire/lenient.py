"""JSON as the vendor's examples have it, with single quotes, and commas behind the last entry; and as some
systems write it, behind a byte-order mark."""

from __future__ import annotations

import re
from codecs import BOM_UTF8

MOST_LENIENT = 2**18
"""Bytes of the longest text that is read so: a list of 3 000 codes fits, as in the head of a request."""

# Every byte is looked at once, whatever comes: a string is taken whole, be it closed or not.
_STRINGS = re.compile(rb"""(["'])((?:(?!\1)[^\\]|\\.)*+)\1?""", re.DOTALL)
_TRAILING = re.compile(rb",(?=\s*+[\]}])")
_ESCAPES = (b"\\\\", b"\1"), (b"\\'", b"'"), (b'\\"', b'"'), (b'"', b'\\"'), (b"\1", b"\\\\")


def as_json(text: bytes) -> bytes:
    """The text with double quotes and without such commas or a mark; what else is wrong with it stays so.

    >>> as_json(b"{'code': 'GOLD', 'name': \\"it's\\",}").decode()
    '{"code": "GOLD", "name": "it\\'s"}'
    """
    text = text.removeprefix(BOM_UTF8)
    if b"\0" in text or b"\1" in text:  # in no JSON
        return text
    parts = _STRINGS.split(text)  # what stands between strings, a quote, what stands in it, and so on
    between = _TRAILING.sub(b"", b"\0".join(parts[::3])).split(b"\0")
    if len(between) == 1:
        return between[0]
    within = b"\0".join(parts[2::3])
    for old, new in _ESCAPES:
        within = within.replace(old, new)
    pairs = zip(between, within.split(b"\0"), strict=False)
    return b'"'.join([*(piece for pair in pairs for piece in pair), between[-1]])

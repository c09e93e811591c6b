"""The full-text search over the pages: SQLite's FTS5, in memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from .page import Piece
from .words import needles_of, words_of

LONGEST_QUESTION = 500
"""Characters of a question."""
BEGIN, END = "\x02", "\x03"
"""Around the words that matched."""
OF_THE_PAGE = 3
"""Pieces of the page that is asked which come before all others."""
TABLE = "CREATE VIRTUAL TABLE piece USING fts5(page UNINDEXED, trail, heading, plain, tokenize='{}')"
TOKENS = "porter unicode61"
RANK = "bm25(piece, 0, 2, 5, 1)"
AROUND = 90
"""Characters shown around what is found within words."""


class Found(NamedTuple):
    """A piece that matches, and a line of it with the words that do between BEGIN and END."""

    piece: Piece
    line: str


class Unavailable(Exception):
    """This Python's SQLite has no full-text search."""


class Search:
    """Finds pieces of the pages. One thread at a time."""

    def __init__(self, pieces: Iterable[Piece]) -> None:
        """Raises Unavailable."""
        self._pieces = list(pieces)
        self._table = sqlite3.connect(":memory:", check_same_thread=False)
        try:
            self._table.execute(TABLE.format(TOKENS))
        except sqlite3.OperationalError as error:
            self._table.close()
            raise Unavailable from error
        self._table.executemany(
            "INSERT INTO piece (rowid, page, trail, heading, plain) VALUES (?, ?, ?, ?, ?)",
            [
                (number, one.page, one.trail, one.heading, one.plain)
                for number, one in enumerate(self._pieces)
            ],
        )

    def find(self, question: str, limit: int, page: str = "") -> list[Found]:
        """The pieces that match best: up to three of that page, then those of all pages.

        A piece matches with any word of the question, in any of its forms; rare words, and words of
        headings, count more. Where no word matches, what holds parts of the words is found.
        """
        words = words_of(question)
        if not words:
            return []
        wanted = " OR ".join(f'"{word}"' for word in words)  # no word holds a quotation mark
        found = self._matching(wanted, limit) or self._holding(needles_of(words))
        own = self._matching(wanted, OF_THE_PAGE, page) if page else []
        return list({one.piece: one for one in own + found}.values())[:limit]

    def _matching(self, wanted: str, limit: int, page: str | None = None) -> list[Found]:
        rows = self._table.execute(
            f"SELECT rowid, snippet(piece, 3, '{BEGIN}', '{END}', '…', 32) FROM piece "  # noqa: S608
            f"WHERE piece MATCH :wanted AND (:page IS NULL OR page = :page) ORDER BY {RANK} LIMIT :limit",
            {"wanted": wanted, "page": page, "limit": limit},
        )
        return [Found(self._pieces[number], line) for number, line in rows]

    def _holding(self, needles: list[str]) -> list[Found]:
        """The pieces that hold those parts of words, those with most of them first."""
        found = []
        for piece in self._pieces:
            text = f"{piece.heading} {piece.plain}".casefold()
            if held := [needle for needle in needles if needle in text]:
                found.append((len(held), Found(piece, _around(piece.plain, held[0]))))
        found.sort(key=lambda one: one[0], reverse=True)
        return [one for _, one in found]


def _around(text: str, needle: str) -> str:
    """A part of the text with what is looked for in it."""
    at = text.casefold().find(needle)
    if at < 0:
        return text[: 2 * AROUND]
    end = at + len(needle)
    return f"{text[max(0, at - AROUND) : at]}{BEGIN}{text[at:end]}{END}{text[end : end + AROUND]}"

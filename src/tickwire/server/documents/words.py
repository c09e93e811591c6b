"""The words of a question: which of them count, and what the pages call it."""

from __future__ import annotations

import json
import re
from pathlib import Path

WORD = re.compile(r"\w+(?:[-'./:]\w+)*")
MOST_WORDS = 24
"""Words of a question that count; more would only make a search slow."""
STOP = frozenset(
    "a about all am an and any are as at be been but by can could did do does for from get got had has have "
    "how i if in into is it its let make many may me much must my need no not of often on one or our "
    "please shall should so some tell than that the their them then there these they this to use used using "
    "want was we were what what's when where which who why will with without would you your".split()
)
MEANT: dict[str, list[str]] = json.loads((Path(__file__).parent / "said.json").read_bytes())
SAID = {said: meant for meant, words in MEANT.items() for said in words}
"""What people ask for, in English and Chinese, and the words of the pages for it."""


def words_of(question: str) -> list[str]:
    """The words to look for, in lower case: those of the question, then the pages' words for them."""
    text = question.casefold()
    said = WORD.findall(text)
    counting = [word for word in said if word not in STOP] or said
    meant = [
        word
        for name, words in SAID.items()
        if (name in counting if name.isascii() else name in text)
        for word in words.split()
    ]
    return list(dict.fromkeys(counting + meant))[:MOST_WORDS]


def needles_of(words: list[str]) -> list[str]:
    """What to look for within words: the longer words, and each two neighbours of a Chinese text."""
    found = []
    for word in words:
        if word.isascii():
            found += [word] if len(word) > 2 else []
        else:
            found += [word[at : at + 2] for at in range(max(1, len(word) - 1))]
    return list(dict.fromkeys(found))

"""The words of a question, and what the pages call it."""

from __future__ import annotations

import pytest

from tickwire.server.documents.words import SAID

from .reading import search


@pytest.mark.parametrize("said", SAID)
def test_the_words_of_the_pages_are_words_of_the_pages(said: str) -> None:
    for word in SAID[said].split():
        assert search()._matching(f'"{word}"', 1), word
    assert search().find(said, 1)

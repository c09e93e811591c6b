"""The full-text search over the pages."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tickwire.server.documents.search import Search
from tickwire.server.documents.words import MOST_WORDS, words_of

from .reading import page, search


@given(
    st.text(max_size=500)
    | st.lists(st.sampled_from('" * ( ) NOT AND OR NEAR ^ : - + a _ \0 piece'.split(" "))).map(" ".join)
)
def test_no_question_is_an_error(question: str) -> None:
    assert len(words_of(question)) <= MOST_WORDS
    found = search().find(question, 5, "protocol")
    assert len(found) <= 5
    assert len({one.piece for one in found}) == len(found)


def test_what_holds_parts_of_words_is_found_where_no_word_is() -> None:
    assert not search().find("qqqqq", 5)
    (first, *_) = search().find("imestam", 5)
    assert "\x02imestam\x03" in first.line
    pieces = page("# A\n\n苹果公司\n\n## B\n\n香蕉\n").pieces
    assert [one.piece.anchor for one in Search(pieces).find("青苹果", 5)] == ["a"]

"""Text that is nearly JSON, as the vendor's examples send it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwire.wire import Report
from tickwire.wire.lenient import MOST_LENIENT, as_json
from tickwire.wire.reader import Reader, Request
from tickwire.wire.ret import HEADER_INVALID

PRINTABLE = st.text(
    st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]).filter(str.isprintable)
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.integers(-(2**60), 2**60) | PRINTABLE,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(PRINTABLE, inner, max_size=4),
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{'a': 1}", {"a": 1}),
        ('\ufeff{"a": 1}', {"a": 1}),
        ("\ufeff{'a': '\ufeff',}", {"a": "\ufeff"}),
        ("{'a': [1, 2, ], }", {"a": [1, 2]}),
        ('{"a": "it\'s ,] ,}", }', {"a": "it's ,] ,}"}),
        ("{'a': 'say \"x\"', \"b\": 'it\\'s \\\\ \\n \\u9ec4'}", {"a": 'say "x"', "b": "it's \\ \n 黄"}),
        ("{'a': '\\\\', 'b': ''}", {"a": "\\", "b": ""}),
        ("{'a': '黄金',\r\n\t}", {"a": "黄金"}),
        ("{'a': {}, 'b': [], }", {"a": {}, "b": []}),
    ],
)
def test_it_is_read(text: str, value: object) -> None:
    assert json.loads(as_json(text.encode())) == value


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff",
        " \ufeff{}",
        "{'a': 1",
        "{'a: 1}",
        "[,]x",
        "{,,}",
        "{'a'}",
        "{a: 1}",
        "{'a': None}",
        "\0",
        "\1{}",
    ],
)
def test_what_else_is_wrong_stays_wrong(text: str) -> None:
    with pytest.raises(json.JSONDecodeError):
        json.loads(as_json(text.encode()))


@given(VALUES, st.sampled_from([None, 1]), st.booleans())
def test_json_keeps_its_meaning(value: Any, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    assert json.loads(as_json(text.encode())) == value


@given(VALUES)
def test_a_value_as_python_prints_it_is_read(value: Any) -> None:
    assert json.loads(as_json(repr(value).encode())) == value


@given(st.text(st.sampled_from("'\"\\,[]{}: a\n\0")))
def test_it_takes_whatever_comes(text: str) -> None:
    as_json(text.encode())


def test_it_is_bounded_in_size_and_depth() -> None:
    text = b"{'cmd_id':22000,'trace':'%s'}"
    size = MOST_LENIENT - len(text) + 2
    assert Reader().request(text % (b"x" * 60 + b" " * 4)).refusal is None
    for trace in (size, size + 1):
        noted = Report()
        assert Reader().request(text % (b"x" * trace), noted).cmd_id == (22000 if trace == size else -1)
        assert {str(name) for name, _ in noted} >= {"lenient_json" if trace == size else "not_json"}
    deep = b"{'a':" * 40_000
    assert (
        Reader().request(deep)
        == Reader().request(deep + b"1" + b"}" * 40_000)
        == Request(refusal=HEADER_INVALID)
    )

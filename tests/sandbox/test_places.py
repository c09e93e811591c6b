"""Every value of a TOML text is found on the line where it stands."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tickwire.sandbox.places import Path, Places

# Pieces of a file, in which N stands for the number of the line and K for a key that is used once.
PIECES = [
    "",
    "# [[step]] N \"\"\" '''",
    "K = N",
    '  "K x.y]" = N # = "',
    "'K\"z' = N",
    "K . b.'c d' = N",
    '"K\\u0041" = N',
    "K = [N, N, [N]]",
    'K = [ # ]\n  N,\n\n  "]}#=", N, # N,\n  [[\n  N ] ],\n]',
    'K = { a = N, "b}" = [N,\n N], c = { d = N }, e.f = N }',
    "K = [{ a = N },\n  { a = N,  b = '},' }, {}]",
    'K = """\n[[step]]\nx = 1 # " "" \\""" \\\n"""',
    'K = """"a"""""',
    "K = '''\n[[step]]\\'''",
    "K = ''''a'''''",
    'K = ""',
    "K = ''",
    'K = "\\\\"',
    "K = '\\'",
    "K = 1979-05-27 07:32:00.5Z # d",
    "K = -1.5e+3",
    "[[step]]",
    "[[ step ]] # ]]",
    '[["step"]]',
    "[[step.inner]]",
    "[step.sub.K]",
    "[K]",
    "  [K . 'a ]'.b]",
    "[[K.list]]\nx = N\n[[K.list]]\nx = N",
]


@st.composite
def texts(draw: st.DrawFn) -> str:
    """A text of TOML in which each whole number of two digits or more is that of its line, less 100."""
    pieces = ["[[step]]", "[[step.inner]]", *draw(st.lists(st.sampled_from(PIECES), max_size=12))]
    if draw(st.booleans()):  # what stands before all tables
        pieces = [piece for piece in pieces[2:] if not piece.lstrip().startswith("[")]
    keyed = "\n".join(piece.replace("K", f"k{place}") for place, piece in enumerate(pieces))
    lines = [line.replace("N", str(100 + number)) for number, line in enumerate(keyed.split("\n"), 1)]
    return draw(st.sampled_from(["\n", "\r\n"])).join(lines)


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, int]]:
    if isinstance(value, dict | list):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(one, (*path, key))
    elif isinstance(value, int):
        yield path, value


@given(text=texts())
def test_every_number_is_found_on_its_line(text: str) -> None:
    document = tomllib.loads(text)
    places = Places(text)
    for path, number in leaves(document):
        assert places.line(path) == number - 100, path


def test_the_pieces_are_all_toml_and_hold_numbers() -> None:
    text = "\n".join(["[[step]]", "[[step.inner]]", *PIECES]).replace("N", "5")
    pieces = text.split("K")
    text = "".join(f"{piece}k{place}" for place, piece in enumerate(pieces[:-1])) + pieces[-1]
    assert len([*leaves(tomllib.loads(text))]) >= 20


def test_what_has_no_line_stands_where_what_holds_it_does() -> None:
    places = Places('name = "a"\n\n[[step]]\ncodes = [\n  "A",\n]\n\n[[step]]\n')
    assert places.line(("step", 0, "at")) == 3
    assert places.line(("step", 0, "codes", 7)) == 4
    assert places.line(("step", 1, "codes", 0)) == 8
    assert places.line(("step",)) == 3
    assert places.line(("nothing", 1)) == 1
    assert places.line(()) == 1


def test_a_large_file_takes_no_time() -> None:
    lines = [f'[[step]]\ndo = "halt"\nat = {number}' for number in range(20_000)]
    places = Places("\n".join(lines))
    assert places.line(("step", 19_999, "at")) == 60_000


@given(text=st.text("[]{}\"'=,.#\\ \nab1"))
def test_no_text_is_too_much(text: str) -> None:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    assert Places(text).line(()) == 1

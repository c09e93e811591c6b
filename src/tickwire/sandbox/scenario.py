"""Reads scenarios: TOML files, documents of the admin API, and the library that comes with Tickwire."""

from __future__ import annotations

import os
import re
from functools import cache
from importlib.resources import files
from pathlib import Path

import msgspec

from ..errors import InputError
from ..files import read_text, toml_in
from . import places
from .check import Mistake, scenario_in
from .steps import Scenario
from .words import nearest, shown

MAX_BYTES = 2**20
SUFFIX = ".toml"
UNNAMED = "unnamed"
LINE = re.compile(r" \(at (?:line ([0-9]+), column [0-9]+|end of document)\)$")
"""The place at the end of what `tomllib` says, which before Python 3.14 tells it in no other way."""
DIGITS = re.compile(r"[0-9][0-9_]{600}")
PLAIN = re.compile(r"[A-Za-z0-9_-]{1,40}")


def load_scenario(name_or_path: str) -> Scenario:
    """A scenario of the library by its name, or the one in a file: a path that ends in .toml or holds a
    separator. A file that gives no name has its own. Raises InputError."""
    separators = filter(None, (os.sep, os.altsep))
    if name_or_path.endswith(SUFFIX) or any(separator in name_or_path for separator in separators):
        return load_file(Path(name_or_path))
    return read_scenario(library_text(name_or_path), name_or_path + SUFFIX)


def load_file(path: Path) -> Scenario:
    """The scenario in a file. Raises InputError if it cannot be read, or as read_scenario does."""
    scenario = read_scenario(read_text(path, "the scenario in", MAX_BYTES), str(path))
    if scenario.name == UNNAMED:
        return msgspec.structs.replace(scenario, name=path.stem)
    return scenario


def read_scenario(text: str, where: str) -> Scenario:
    """The scenario in a text of TOML that comes from `where`.

    Raises InputError that names the line, what is wrong there, and what would be right.
    """
    try:
        document = toml_in(text, where)
    except InputError as error:
        if isinstance(said := error.__cause__, ValueError):  # by `tomllib`
            raise InputError(_not_toml(text, where, str(said))) from said
        raise
    try:
        return scenario_in(document)
    except Mistake as mistake:
        line = places.Places(text).line(mistake.path)
        raise InputError(f"{where}, line {line}: {_subject(mistake.path)} {mistake.text}.") from None


def scenario_of(document: object, where: str) -> Scenario:
    """The scenario in a decoded document of JSON that comes from `where`.

    Raises InputError that names the place (`step 2, codes`), what is wrong there, and what would be right.
    """
    try:
        return scenario_in(document)
    except Mistake as mistake:
        place = ", ".join([where, *_place(mistake.path)])
        raise InputError(f"{place}: {mistake.text}.") from None


@cache
def library() -> dict[str, Scenario]:
    """The scenarios that come with Tickwire, in alphabetical order of their names."""
    return {name: read_scenario(text, name + SUFFIX) for name, text in _texts().items()}


def library_text(name: str) -> str:
    """The file of the library, with its comments. Raises InputError if there is none of that name."""
    texts = _texts()
    if name not in texts:
        raise InputError(
            f"There is no scenario {shown(name)}; the nearest is {nearest(name, texts)}. "
            f"`tickwire scenario list` shows all; a file of your own must end in {SUFFIX}."
        )
    return texts[name]


@cache
def _texts() -> dict[str, str]:
    found = files(__package__).joinpath("scenarios").iterdir()
    texts = {file.name: file.read_text(encoding="utf-8") for file in found if file.name.endswith(SUFFIX)}
    return {name.removesuffix(SUFFIX): texts[name] for name in sorted(texts)}


def _not_toml(text: str, where: str, words: str) -> str:
    """What is said of a text that `tomllib` refuses with these words."""
    if at := LINE.search(words):
        line = int(at[1]) if at[1] else text.rstrip().count("\n") + 1
        words = words[: at.start()]
    else:  # of too many digits Python says no place
        digits = DIGITS.search(text)
        line = text.count("\n", 0, digits.start() if digits else 0) + 1
        words = "A number has too many digits"
    return (
        f"{where}, line {line}: this is not TOML ({words}). Texts stand in quotes, lists in brackets; "
        "`tickwire scenario show halt-and-resume` shows an example."
    )


def _subject(path: places.Path) -> str:
    """What the path leads to, as the beginning of a sentence.

    >>> _subject(("step", 1)), _subject(("step", 1, "codes")), _subject(("step", 1, "codes", 0))
    ('step 2', 'codes', 'entry 1 of codes')
    """
    named = _place(path)
    if not named:
        return "the scenario"
    return " of ".join(reversed(named[1:])) or named[0]


def _place(path: places.Path) -> list[str]:
    """The path for people.

    >>> _place(("step", 1, "codes", 0))
    ['step 2', 'codes', 'entry 1']
    """
    match path:
        case ("step", int(place), *rest):
            named = [f"step {place + 1}"]
        case _:
            named, rest = [], [*path]
    for part in rest:
        if isinstance(part, int):
            named.append(f"entry {part + 1}")
        else:
            named.append(part if PLAIN.fullmatch(part) else shown(part))
    return named

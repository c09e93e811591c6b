"""Makes a scenario of a decoded document, or says which value in it is wrong and what would be right."""

from __future__ import annotations

import math
import re
from typing import NamedTuple, get_args

import msgspec
from msgspec import inspect

from .places import Path
from .rules import MOMENT, broken_rules
from .steps import Scenario, Step
from .words import INTEGERS, expected, nearest, shown

Fields = dict[str, inspect.Field]


def _fields(kind: type[msgspec.Struct]) -> Fields:
    """The fields of a struct as they stand in a file."""
    return {field.encode_name: field for field in inspect.type_info(kind).fields}  # type: ignore[attr-defined]


FIELDS: dict[str, Fields] = {kind.__struct_config__.tag: _fields(kind) for kind in get_args(Step)}
"""The fields of each action but `do`."""
MOMENTARY = ("resume", "clock")
"""Actions without a duration."""
TOP = _fields(Scenario)
EXAMPLE = '[[step]] and below it do = "halt" (in JSON "step": [{"do": "halt"}])'
NAME_LENGTH = 64
AT = re.compile(r" - at `\$([^`]*)`$")
"""The path of a wrong value, at the end of what msgspec says of it."""
PART = re.compile(r"\.([^.\[]+)|\[([0-9]+)\]")


class Mistake(Exception):
    """`path` leads to what is wrong; `text` goes on where its name leaves off: "must be …, not …"."""

    def __init__(self, path: Path, text: str) -> None:
        super().__init__(path, text)
        self.path = path
        self.text = text


class Given(NamedTuple):
    """A field that stands in the document."""

    path: Path
    kind: inspect.Type
    value: object


def scenario_in(document: object) -> Scenario:
    """The scenario that a document of TOML or JSON holds. Raises Mistake for the first thing wrong in it."""
    fields = _fields_given(document)
    for field in fields:
        _check_printable(field)
    try:
        scenario = msgspec.convert(document, Scenario)
    except msgspec.ValidationError as error:
        raise _wrong_value(str(error), fields) from None
    if not 0 < len(scenario.name) <= NAME_LENGTH or not scenario.name.isprintable():
        raise Mistake(("name",), f"must be a text on one line of 1 to {NAME_LENGTH} characters")
    for place, step in enumerate(scenario.steps):
        for path, text in broken_rules(step):
            raise Mistake(("step", place, *path), text)
    return scenario


# First the tables and the names in them, so that the path of whatever else is wrong can be relied on.
def _fields_given(document: object) -> list[Given]:
    if not isinstance(document, dict):
        raise Mistake((), f"must be a table with steps, not {shown(document)}")
    for key in document:
        if key not in TOP:
            raise Mistake((key,), _unknown(key, "a scenario", TOP))
    steps = document.get("step", [])
    if not isinstance(steps, list):
        raise Mistake(("step",), f"must be a list of tables, not {shown(steps)}: write {EXAMPLE}")
    if not steps:
        raise Mistake((), f"has no steps: add {EXAMPLE}")
    found = [Given((key,), TOP[key].type, value) for key, value in document.items() if key != "step"]
    for place, step in enumerate(steps):
        path = ("step", place)
        fields = _fields_of(step, path)
        found += [Given((*path, key), fields[key].type, step[key]) for key in step if key != "do"]
    return found


def _fields_of(step: object, path: Path) -> Fields:
    """The fields that a step may have."""
    if not isinstance(step, dict):
        raise Mistake(path, f'must be a table, such as {{do = "halt"}}, not {shown(step)}')
    known = ", ".join(FIELDS)
    if "do" not in step:
        raise Mistake(path, f"lacks do, which says what happens: one of {known}")
    action = step["do"]
    if not isinstance(action, str):
        raise Mistake((*path, "do"), f"must be a text, not {shown(action)}: one of {known}")
    if action not in FIELDS:
        near = nearest(action, FIELDS)
        text = f"cannot be {shown(action)}; the nearest action is {near}. There are {known}"
        raise Mistake((*path, "do"), text)
    fields = FIELDS[action]
    for key in step:
        if key != "do" and key not in fields:
            raise Mistake((*path, key), _unknown(key, action, fields))
    if "for" in step and action in MOMENTARY:
        raise Mistake((*path, "for"), f"does not go with {action}, which takes no time: leave it out")
    for key, field in fields.items():
        if field.required and key not in step:
            raise Mistake(path, f"lacks {key}, which {action} needs: {expected(field.type)}")
    return fields


def _unknown(key: object, owner: str, fields: Fields) -> str:
    if not isinstance(key, str):
        return "must be a text, as all names of fields are"
    if fields is TOP and (key == "do" or any(key in known for known in FIELDS.values())):
        return "stands outside of any step: move it into one (in TOML below a line [[step]])"
    if key in TOP:
        return "belongs to the scenario, not to a step: move it out (in TOML above the first [[step]])"
    return f"is no field of {owner}; the nearest is {nearest(key, fields)}. There are {', '.join(fields)}"


# Then the values.
def _check_printable(field: Given) -> None:
    """Refuses numbers that are not finite, and numbers and texts that cannot be written out."""
    one_of_many = isinstance(field.value, list)
    for place, value in enumerate(field.value if isinstance(field.value, list) else [field.value]):
        path = (*field.path, place) if one_of_many else field.path
        match value:
            case int() if value not in INTEGERS:
                raise Mistake(path, f"must be {_wanted(field.kind, path)}, not {shown(value)}")
            case float() if not math.isfinite(value):
                raise Mistake(path, f"must be {_wanted(field.kind, path)}, not {shown(value)}")
            case str() if any("\ud800" <= char <= "\udfff" for char in value):
                raise Mistake(path, "holds half a character (a lone surrogate)")


def _wrong_value(words: str, fields: list[Given]) -> Mistake:
    """What is wrong at the path that msgspec names. What it says of it is for programmers."""
    at = AT.search(words)
    path: Path = tuple(key or int(place) for key, place in PART.findall(at[1])) if at else ()
    field = next((field for field in fields if field.path == path[: len(field.path)]), None)
    if field is None:
        return Mistake(path, f"is wrong: {words}")
    value = field.value
    for place in path[len(field.path) :]:
        value = value[place]  # type: ignore[index]
    secret = "tokens" in path and isinstance(value, str)
    return Mistake(path, f"must be {_wanted(field.kind, path)}, not {'a text' if secret else shown(value)}")


def _wanted(kind: inspect.Type, path: Path) -> str:
    """What is expected of a field, or of the entry of a list that the path leads to."""
    if path[-1] == "to":
        return MOMENT
    if isinstance(path[-1], str):
        return expected(kind)
    for one in kind.types if isinstance(kind, inspect.UnionType) else (kind,):
        if isinstance(one, inspect.VarTupleType):
            return expected(one.item_type)
    return expected(kind)

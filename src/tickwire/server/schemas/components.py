"""JSON schemas (2020-12) of the message types: their fields as they are, their docstrings as descriptions."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from enum import Enum, IntEnum
from typing import Any, TypeAlias

import msgspec
from msgspec import inspect as types

Schema: TypeAlias = dict[str, Any]

SUFFIXES = {
    "HttpSuccess": "Answer",
    "Push": "Push",
    "QueryEnvelope": "HttpRequest",
    "Envelope": "Request",
    "DataResponse": "Response",
}
"""How a generic type with an argument is called: behind the argument's name."""
_GENERIC = re.compile(rf"({'|'.join(SUFFIXES)})_(\w+)_")
_PLACE = "#/components/schemas/"


def ref(name: str) -> Schema:
    """Points to the component of that name."""
    return {"$ref": f"{_PLACE}{name}"}


def incoming(*shapes: Any) -> dict[str, Schema]:
    """Components of what the server takes, and of all that stands in it, by name."""
    return _components(shapes, sent=False)


def outgoing(*shapes: Any) -> dict[str, Schema]:
    """Components of what the server sends: a field is missing only where its type says that it may be."""
    return _components(shapes, sent=True)


def _components(shapes: tuple[Any, ...], *, sent: bool) -> dict[str, Schema]:
    _, found = msgspec.json.schema_components(shapes, ref_template=f"{_PLACE}{{name}}")
    parts = [*_parts(types.multi_type_info(shapes))]
    enums = {one.cls.__name__: one.cls for one in parts if isinstance(one, types.EnumType)}
    lean = {one.cls.__name__ for one in parts if isinstance(one, types.StructType) and _is_lean(one.cls)}
    made = {}
    for name, schema in found.items():
        schema = _tidy(schema)
        if name in enums:
            schema |= _members(enums[name])
        elif sent and "properties" in schema:
            fields = schema["properties"].items()
            schema["required"] = [
                field
                for field, of in fields
                if field in schema["required"] or ("default" in of and name not in lean)
            ]
            for of in schema["properties"].values():
                of.pop("default", None)
        schema["title"] = _name(name)
        made[_name(name)] = schema
    return dict(sorted(made.items()))


def _name(name: str) -> str:
    return _GENERIC.sub(lambda match: f"{match[2]}{SUFFIXES[match[1]]}", name)


def _tidy(schema: Any) -> Any:
    """The schema without the indents of docstrings, what stands for encoded bytes, what only Python's
    patterns know, and defaults that mean "none" and may not be sent."""
    if isinstance(schema, list):
        return [_tidy(one) for one in schema if one != {}]
    if not isinstance(schema, dict):
        return schema
    made = {key: _tidy(value) for key, value in schema.items()}
    if "description" in made and isinstance(made["description"], str):
        made["description"] = inspect.cleandoc(made["description"])
    if "$ref" in made:
        made["$ref"] = _name(made["$ref"])
    if isinstance(made.get("pattern"), str):
        made["pattern"] = made["pattern"].replace(r"\A", "^").replace(r"\Z", "$")
    if "default" in made and (made["default"] is None or made["default"] == 0 < made.get("minimum", 0)):
        del made["default"]
    if made.get("items") is False:  # a tuple, in the words that AsyncAPI's older drafts know too
        made["items"], *others = made.pop("prefixItems")
        if others.count(made["items"]) != len(others):
            raise TypeError("a tuple of different things")
    if len(made.get("anyOf", ())) == 1:
        made |= made.pop("anyOf")[0]
    return made


def _members(enum: type[Enum]) -> Schema:
    values = [member.value for member in enum]
    if issubclass(enum, IntEnum):
        return {"type": "integer", "enum": values, "x-enum-varnames": [member.name for member in enum]}
    return {"type": "string", "enum": values}


def _is_lean(shape: type[msgspec.Struct]) -> bool:
    """Whether fields that say nothing are left out."""
    return isinstance(shape, type) and shape.__struct_config__.omit_defaults  # a generic one is no type


def _parts(found: Any) -> Iterator[types.Type]:
    """All that descriptions of types are made of."""
    seen: set[int] = set()
    waiting = [found]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, types.Type):
            yield one
        if isinstance(one, (list, tuple)):
            waiting += one
        elif isinstance(one, (types.Type, types.Field)):
            waiting += (getattr(one, name) for name in one.__struct_fields__)

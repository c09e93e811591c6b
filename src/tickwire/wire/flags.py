"""Flags: what a client says of its connection in the URL of the upgrade, and later by 28022 (section 6)."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias
from urllib.parse import unquote_plus

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ..model import Slow
from .form import Form
from .ret import Refused, Ret

MOST_RATE = 1000
"""Pushes a second of a stream, of those that may be asked for."""
Rate: TypeAlias = Annotated[int, Meta(ge=0, le=MOST_RATE)]
Switch: TypeAlias = Annotated[int, Meta(ge=0, le=1)]
Encoding: TypeAlias = Literal["json", "msgpack"]
KNOWN = {
    "slow": f"none of {', '.join(Slow)}",
    "max_rate": f"no number from 0 to {MOST_RATE}",
    "batch": "neither 0 nor 1",
    "times": "neither 0 nor 1",
    "encoding": "none of json, msgpack",
}
"""What is said of a value that a flag cannot have."""


class Flags(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The flags that a client names, the data of 28022: `slow` says what becomes of it while it cannot keep
    up, `max_rate` how many pushes a second of each stream it wants (0: all), `batch` 1 that a frame is an
    array of pushes, `times` 1 that a push says when it came and went, `encoding` how they are written."""

    slow: Slow | UnsetType = UNSET
    max_rate: Rate | UnsetType = UNSET
    batch: Switch | UnsetType = UNSET
    times: Switch | UnsetType = UNSET
    encoding: Encoding | UnsetType = UNSET

    def and_then(self, later: Flags) -> Flags:
        """These, but for what is named later."""
        named = {name: value for name in KNOWN if (value := getattr(later, name)) is not UNSET}
        return msgspec.structs.replace(self, **named)

    def form(self, *, deflated: bool, marked: bool) -> Form:
        """In which form its connection is sent pushes."""
        written = self.batch == 1, self.encoding == "msgpack"
        return Form(deflated, marked, *written, self.max_rate or 0, self.times == 1)

    def told(self, slow: Slow) -> OptionsData:
        """All of them as they stand; `slow` is what counts where it is not named."""
        switches = self.batch or 0, self.times or 0
        return OptionsData(self.slow or slow, self.max_rate or 0, *switches, self.encoding or "json")


class OptionsData(msgspec.Struct):
    """The data of 28023: all flags, as they stand."""

    slow: Slow
    max_rate: Rate
    batch: Switch
    times: Switch
    encoding: Encoding


def flags_of(query: str) -> Flags:
    """The flags in the query string of a URL, the first of each name; other names are passed over. Raises
    Refused."""
    found: dict[str, Any] = {}
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if name in KNOWN:
            found.setdefault(name, unquote_plus(value))
    for name, value in found.items():
        try:
            msgspec.convert({name: value}, Flags, strict=False)
        except msgspec.ValidationError:
            raise Refused(Ret(400, f"{name} is {KNOWN[name]}", 400)) from None
    return msgspec.convert(found, Flags, strict=False)

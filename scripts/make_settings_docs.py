"""Writes the settings of docs/settings.md, below its hand-written head, from the settings class and the flags
of `tickwire serve`.

    python scripts/make_settings_docs.py [-]

With `-` it prints them.
"""

from __future__ import annotations

import sys
import textwrap
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_origin

import typer
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from typer.core import TyperOption

from tickwire.cli.serve import serve
from tickwire.config import ALIVE, ENV_PREFIX, Settings, groups

TARGET = Path(__file__).resolve().parent.parent / "docs/settings.md"
TYPES: dict[Any, str] = {
    bool: "`true` or `false`",
    int: "whole number",
    float: "number",
    str: "text",
    SecretStr: "text that is never shown",
    Path: "path",
    list[Path]: "paths",
    list[str]: "list",
}
TYPE_OF = {
    "workers": "whole number from 0 to 256, or `auto`",
    "source": "sources",
    "bus": "list of URLs",
    "cluster": "letters, digits, `-` and `_`, 32 at the most",
    "node": "letters, digits, `-`, `_` and `.`, 63 at the most",
    "database": "URL, whose password is never shown",
    "tls_self_signed": "list of names and addresses",
    "exchanges": "tables",
    "plans": "tables",
    "retention": "days by type",
    "day_reset": "time of day",
    "from_time": "time, in UTC unless it says otherwise",
    "to_time": "time, in UTC unless it says otherwise",
    "start": "time, in UTC unless it says otherwise",
}
"""What says more than its Python type."""
DEFAULT_OF = {
    "node": "the host's name",
    "data_dir": "`~/.local/share/tickwire` on Linux, `~/Library/Application Support/tickwire` on macOS, "
    "`%LOCALAPPDATA%\\tickwire` on Windows",
}
"""What is another one on each machine."""
LIMITS = (("ge", "from"), ("gt", "above"), ("le", "to"))


def page() -> str:
    """The whole page."""
    command = typer.Typer()
    command.command()(serve)
    options = typer.main.get_command(command).params
    flags = {option.name: option for option in options if isinstance(option, TyperOption)}
    head, _, _ = TARGET.read_text("utf-8").partition(f"\n## {next(iter(groups()))}\n")
    parts = [head]
    for group, texts in groups().items():
        parts.append(f"## {group}\n")
        parts += [_entry(name, text, flags[name]) for name, text in texts.items()]
    return "\n".join(parts)


def _entry(name: str, text: str, option: TyperOption) -> str:
    setting = Settings.model_fields[name]
    facts = [
        f"`{_flag(option, setting)}`",
        f"`{ENV_PREFIX}{name.upper()}`",
        f"key `{name}`",
        _type(name, setting) + (", the flag several times" if option.multiple else ""),
        f"default: {_default(name, setting)}",
        *(["may change while the server runs"] if name in ALIVE else []),
    ]
    return f"### {name}\n\n{_wrapped(text)}\n\n{_wrapped(' · '.join(facts))}\n"


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.wrap(text, 110, break_long_words=False, break_on_hyphens=False))


def _flag(option: TyperOption, setting: FieldInfo) -> str:
    """The flag as the help shows it."""
    names = "/".join([*option.opts, *option.secondary_opts])
    value = (
        ""
        if option.is_flag
        else f" {option.metavar or ('PATH' if Path in get_args(setting.annotation) else 'VALUE')}"
    )
    return names + value


def _type(name: str, setting: FieldInfo) -> str:
    """What kind of value it is, and its limits."""
    kind: Any = setting.annotation
    if type(None) in get_args(kind):
        kind = next(one for one in get_args(kind) if one is not type(None))
    if name in TYPE_OF:
        text = TYPE_OF[name]
    elif isinstance(kind, type) and issubclass(kind, Enum) and get_origin(kind) is None:
        text = ", ".join(f"`{one.value}`" for one in kind)
    else:
        text = TYPES[kind]
    for limit, word in LIMITS:
        for one in setting.metadata:
            if (value := getattr(one, limit, None)) is not None:
                text += f" {word} {value:,}".replace(",", " ")
    return text


def _default(name: str, setting: FieldInfo) -> str:
    if name in DEFAULT_OF:
        return DEFAULT_OF[name]
    value = setting.default
    match value:
        case None | [] | {}:
            return "none"
        case bool():
            return f"`{str(value).lower()}`"
        case float() if value.is_integer():
            return f"`{int(value)}`"
        case [*items]:
            return f"`{';'.join(map(str, items))}`"
    return f"`{value}`"


if __name__ == "__main__":
    if sys.argv[1:] == ["-"]:
        print(page(), end="")
    else:
        TARGET.write_text(page(), encoding="utf-8")

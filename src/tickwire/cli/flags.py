"""Makes flags of settings, so that no setting is listed twice."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_origin

import click
import typer

from ..config import Settings, about, load

BY_NAME = {
    "from_time": "TIME",
    "to_time": "TIME",
    "start": "TIME",
    "record": "DIR",
    "database": "URL",
    "record_keep_days": "DAYS",
    "record_keep_bytes": "BYTES",
    "scenario": "NAME|FILE",
    "source": "NAME",
    "exchanges": "TOML",
    "upstream_url": "URL",
    "upstream_token": "TOKEN",
    "symbols": "PATH",
    "ca_file": "FILE",
    "upstream_token_file": "FILE",
    "tls_cert": "FILE",
    "tls_key": "FILE",
    "tls_self_signed": "NAMES",
    "plans": "TOML",
    "day_reset": "HH:MM",
    "workers": "N|auto",
    "bus": "URLS",
    "cluster": "NAME",
    "node": "NAME",
    "bus_credentials": "FILE",
    "bus_ca": "FILE",
}
TEXTS = {"database", "from_time", "start", "to_time", "upstream_token", "workers"}
METAVARS: dict[Any, str] = {
    list[Path]: "PATH",
    list[str]: "LIST|all",
    Path: "DIR",
    int: "N",
    float: "N",
    str: "TEXT",
}
DatabaseUrl = Annotated[str | None, typer.Option("--database", help="As for serve.", metavar="URL")]
Config = Annotated[Path | None, typer.Option("--config", help="As for serve.", metavar="PATH")]
DataDir = Annotated[Path | None, typer.Option("--data-dir", help="As for serve.", metavar="DIR")]


def settings_of(config: Path | None = None, **flags: Any) -> Settings:
    """The settings that these flags make, of which those count that were given."""
    return load({name: value for name, value in flags.items() if value}, config)


def with_flags(command: Callable[[dict[str, Any], Path | None], None]) -> Callable[..., None]:
    """A command with `--config` and a flag for each setting; only flags that were given reach it."""

    def with_all(config: Path | None, **flags: Any) -> None:
        command({name: value for name, value in flags.items() if value not in (None, [])}, config)

    option = typer.Option("--config", help="TOML file with settings, named as the flags with _ for -.")
    parameters = [_parameter("config", Annotated[Path | None, option])]
    parameters += [_parameter(name, _flag(name)) for name in Settings.model_fields]
    with_all.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_all.__name__ = command.__name__
    with_all.__doc__ = command.__doc__
    return with_all


def _parameter(name: str, annotation: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _flag(name: str) -> Any:
    """The annotation of a setting's flag: no default, so that what was not given stays unsaid."""
    setting = Settings.model_fields[name]
    flag = "--" + name.replace("_", "-")
    if setting.default is True:
        flag += "/--no-" + name.replace("_", "-")
    default = setting.get_default(call_default_factory=True)
    if name == "source":
        default = ";".join(map(str, default))
    text = about(name) + (f" [default: {default}]" if default not in (None, False, [], {}) else "")
    kind: Any = setting.annotation
    metavar = BY_NAME.get(name) or ("TYPE=DAYS,…" if get_origin(kind) is dict else METAVARS.get(kind))
    if name == "source":
        kind = list[str]
    elif kind == list[str] or get_origin(kind) is dict or name in TEXTS:  # read by the setting itself
        kind = str
    option = typer.Option(flag, help=text, metavar=metavar, show_default=False)
    if kind in (Path, Path | None, list[Path]):  # as text: no path is empty, the current folder's is "."
        option.click_type = click.Path()
        kind = list[str] if kind == list[Path] else str
    return Annotated[kind | None, option]

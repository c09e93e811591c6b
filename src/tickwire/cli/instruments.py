"""`tickwire instruments`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from .output import json_line, note, put, table
from .upstream import AsJson, CaFile, Config, Plan, Token, Url, ask, upstream

if TYPE_CHECKING:
    from ..client import InstrumentInfo

HEADER = ("CODE", "MARKET", "STATE", "CURRENCY", "LOT", "DECIMALS", "LEVELS", "NAME")

instruments_app = typer.Typer(
    help="""Instruments: the codes that a server knows.

    Example: tickwire instruments search apple
    """
)


@instruments_app.command()
def search(
    text: Annotated[str, typer.Argument(metavar="TEXT", help='What stands in a code or a name; "" for all.')],
    as_json: AsJson = False,
    url: Url = None,
    token: Token = None,
    plan: Plan = None,
    config: Config = None,
    ca_file: CaFile = None,
) -> None:
    """Find codes by a part of the code or of a name.

    Names are English and Chinese. DECIMALS are those of price, volume and turnover, LEVELS the depth of the
    order book. Exit status 1 if nothing is found. Only a Tickwire answers this; AllTick lists its codes on
    its website.

    Example: tickwire instruments search tencent
    """
    server = upstream(url, token, plan, config, ca_file)
    found = ask(server, lambda api: api.instruments(text), "instruments")
    if not found:
        note(f"no code and no name holds {text!r}.")
        raise typer.Exit(1)
    if as_json:
        put("".join(json_line(msgspec.structs.asdict(one)) for one in found))
    else:
        put(table(HEADER, map(_row, found), {"LOT", "LEVELS"}))


def _row(one: InstrumentInfo) -> list[str | None]:
    aliases = f" (also {' '.join(one.aliases)})" if one.aliases else ""
    names = dict.fromkeys(filter(None, (one.name_en, one.name_cn or one.name_hk)))
    decimals = f"{one.price_decimals}/{one.volume_decimals}/{one.turnover_decimals}"
    return [
        one.code,
        one.market,
        one.state,
        one.currency or None,
        one.lot_size or None,
        decimals,
        str(one.depth_levels) if one.depth_levels else None,
        " ".join(names) + aliases,
    ]

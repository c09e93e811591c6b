"""`tickwire token`."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import typer

from ..access import BUILT_IN, Token, digest_of, new_id, new_secret
from ..config import DATABASE, Settings
from ..errors import SettingsError
from ..model import Family, Market
from ..store import InstrumentStore, TokenStore, load_catalogue, make_data_directory, open_file, open_tokens
from .flags import Config, DatabaseUrl, DataDir, settings_of
from .output import put, table

UNITS = {"m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
YEAR_10000 = 253_402_300_800
"""Its first second since the epoch."""
NAME = re.compile(r"[^\x00-\x1f\x7f]{1,64}")

token_app = typer.Typer(
    help="""Tokens: who may use the server, and how much.

    Example: tickwire token create --name desk --plan premium
    """
)

Which = Annotated[str, typer.Argument(metavar="NAME|ID", show_default=False)]


@token_app.command()
def create(
    name: Annotated[str, typer.Option("--name", help="What to call it in lists and logs.", metavar="TEXT")],
    plan: Annotated[
        str, typer.Option("--plan", help=f"{', '.join(BUILT_IN)}, or your own.", metavar="PLAN")
    ] = "unlimited",
    markets: Annotated[
        str | None, typer.Option(help="Only these markets, such as hk_stock,crypto.", metavar="LIST")
    ] = None,
    codes: Annotated[
        str | None, typer.Option(help="Only these codes, or these beside --markets.", metavar="LIST")
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option(help="2027-01-31, 2027-01-31T18:00Z, or from now on: 12h, 30d.", metavar="WHEN"),
    ] = None,
    admin: Annotated[bool, typer.Option("--admin", help="Let it use /admin from other machines.")] = False,
    publish: Annotated[
        bool, typer.Option("--publish", help="Let it send prices of what it may read to /v1/publish.")
    ] = False,
    config: Config = None,
    database: DatabaseUrl = None,
    data_dir: DataDir = None,
) -> None:
    """Create a token and print it.

    It is shown this once, for only a hash of it is kept. From the first token on the server lets in stored
    tokens only. A running server knows it at once.

    Example: tickwire token create --name desk --plan premium --markets hk_stock,us_stock --expires 90d
    """
    settings = settings_of(config, database=database, data_dir=data_dir)
    plans = [*BUILT_IN, *settings.plans]
    if plan not in plans:
        own = " A plan of your own stands in the server's settings: name them with --config FILE."
        raise SettingsError(f"--plan {plan!r} is none of {', '.join(plans)}.{'' if config else own}")
    if not NAME.fullmatch(name):
        raise SettingsError("--name must be 1 to 64 characters without control characters.")
    secret, now = new_secret(), time.time()
    with _tokens(settings) as store:
        token = Token(
            id=new_id(),
            digest=digest_of(secret, store.key()),
            name=name,
            plan=plan,
            markets=frozenset(_market(text) for text in _listed("--markets", markets)),
            codes=_known(_listed("--codes", codes), settings),
            admin=admin,
            publish=publish,
            created=int(now * 1000),
            expires=None if expires is None else int(_moment(expires, now) * 1000),
        )
        store.add(token)
    typer.echo(secret)
    typer.echo(f"Token {token.id} ({name}, {plan}). Note it now: it cannot be shown again.", err=True)


@token_app.command("list")
def show(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    config: Config = None,
    database: DatabaseUrl = None,
    data_dir: DataDir = None,
) -> None:
    """List the tokens, without their texts.

    Example: tickwire token list
    """
    with _tokens(settings_of(config, database=database, data_dir=data_dir)) as store:
        tokens, guarded = store.tokens(), store.guarded()
    if as_json:
        for token in tokens:
            fields = msgspec.structs.asdict(token)
            del fields["digest"]
            fields["state"] = _state(token)
            typer.echo(msgspec.json.encode(fields))
        return
    rows = [
        (
            token.id,
            token.name,
            token.plan + " (admin)" * token.admin + " (publish)" * token.publish,
            ",".join(sorted([*token.markets, *token.codes])) or "all",
            _date(token.expires) if token.expires else "never",
            _state(token),
        )
        for token in tokens
    ]
    put(table(("ID", "NAME", "PLAN", "MAY READ", "EXPIRES", "STATE"), rows))
    if not tokens:
        typer.echo(
            "No token, though there is a token.key: the server lets nobody in."
            if guarded
            else "No token: the server lets in whoever reaches it."
        )


@token_app.command()
def revoke(
    which: Which, config: Config = None, database: DatabaseUrl = None, data_dir: DataDir = None
) -> None:
    """Revoke a token for good.

    Its open connections are closed within a second.

    Example: tickwire token revoke desk
    """
    with _tokens(settings_of(config, database=database, data_dir=data_dir)) as store:
        token = store.find(which)
        store.revoke(token, int(time.time() * 1000))
    typer.echo(f"Token {token.id} ({token.name}) is revoked.")


@token_app.command()
def rotate(
    which: Which, config: Config = None, database: DatabaseUrl = None, data_dir: DataDir = None
) -> None:
    """Replace a token's text by a new one and print it.

    The old one counts no more.

    Example: tickwire token rotate desk
    """
    secret = new_secret()
    with _tokens(settings_of(config, database=database, data_dir=data_dir)) as store:
        token = store.find(which)
        if not token.valid(time.time()):
            raise SettingsError(f"Token {token.id} ({token.name}) is {_state(token)}. Create a new one.")
        store.rotate(token, digest_of(secret, store.key()))
    typer.echo(secret)
    typer.echo(
        f"Token {token.id} ({token.name}) has a new text. Note it now: it cannot be shown again.", err=True
    )


@contextmanager
def _tokens(settings: Settings) -> Iterator[TokenStore]:
    make_data_directory(settings.data_dir)
    with open_tokens(settings.data_dir / DATABASE, settings.database_url) as store:
        yield store


def _listed(option: str, text: str | None) -> list[str]:
    """What an option lists. Given but empty, as from a shell variable that is not set, it is an error: such
    a token would read everything."""
    found = [part.strip() for part in (text or "").split(",") if part.strip()]
    if text is not None and not found:
        raise SettingsError(f"{option} is empty. Leave it out for a token without that limit.")
    return found


def _market(text: str) -> Market:
    try:
        return Market(text)
    except ValueError:
        raise SettingsError(f"--markets: {text!r} is none of {', '.join(Market)}.") from None


def _known(codes: list[str], settings: Settings) -> frozenset[str]:
    catalogue = load_catalogue(settings.instruments)
    with closing(open_file(settings.data_dir / DATABASE, settings.database_url)) as file:
        instruments = InstrumentStore(file)
        instruments.teach(catalogue)
        for learned in instruments.learned():
            if learned.code not in catalogue:
                catalogue.add(learned)
    found = []
    for code in codes:
        instrument = next(
            (one for family in Family if (one := catalogue.find(family, code)) is not None), None
        )
        if instrument is None:
            raise SettingsError(f"--codes: {code!r} is unknown. Codes are case-sensitive, such as 700.HK.")
        found.append(instrument.code)
    return frozenset(found)


def _moment(text: str, now: float) -> float:
    """Seconds since the epoch. Raises SettingsError for what is no time, or past."""
    if found := re.fullmatch(r"(\d{1,4})([mhdw])", text):
        moment = now + int(found[1]) * UNITS[found[2]]
    else:
        try:
            read = datetime.fromisoformat(text)
        except ValueError:
            raise SettingsError(
                f"--expires {text!r} is neither a date such as 2027-01-31 nor a time from now such as 30d."
            ) from None
        moment = (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
    if moment <= now:
        raise SettingsError(f"--expires {text} is past.")
    if moment >= YEAR_10000:
        raise SettingsError(f"--expires {text} is later than any date. Leave it out for a token for ever.")
    return moment


def _date(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%MZ")


def _state(token: Token) -> str:
    if token.revoked is not None:
        return f"revoked {_date(token.revoked)}"
    return "valid" if token.valid(time.time()) else "expired"

"""Which server a command reads from, and how its failures are told: what all commands for readers share."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec, TypeVar
from urllib.parse import urlsplit

import msgspec
import typer

from ..errors import InputError, SettingsError
from ..files import read_toml

if TYPE_CHECKING:
    from ..client import Account, Api

P = ParamSpec("P")
R = TypeVar("R")
FILE = "client.toml"
"""The settings file of clients, in the user's folder of Tickwire's settings."""
NO_SUCH_PATH = {402, 404, 405}
"""How a server says that it has no such path: 402 is the protocol's (section 3, "Errors over HTTP")."""
TRUST = (
    "If it is the right server, name its CA with --ca-file or SSL_CERT_FILE; its certificate must name the "
    "URL's host."
)
KNOWN_CODES = (
    "Codes are case-sensitive, such as 700.HK; a Tickwire's are found by `tickwire instruments search`."
)


def _plans(incomplete: str) -> list[str]:
    from ..client import PLANS

    return [name for name in PLANS if name.startswith(incomplete)]


def _codes(incomplete: str) -> list[str]:
    """The codes that a shell offers: those of the shipped catalogue."""
    from ..store import load_catalogue

    return [one.code for one in load_catalogue() if one.code.startswith(incomplete)]


def _argument(metavar: str, text: str) -> Any:
    return typer.Argument(metavar=metavar, help=text, autocompletion=_codes, show_default=False)


Codes = Annotated[list[str], _argument("CODE…", "Such as BTCUSDT AAPL.US; case-sensitive.")]
Code = Annotated[str, _argument("CODE", "Such as BTCUSDT; case-sensitive.")]
Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        help="The server, else TICKWIRE_URL, else the settings file's, else http://127.0.0.1:8600.",
    ),
]
Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        metavar="TOKEN",
        help="Its token, else TICKWIRE_TOKEN, else the settings file's. None is needed on this machine.",
    ),
]
Plan = Annotated[
    str | None,
    typer.Option(
        "--plan",
        metavar="NAME",
        help="The token's plan, whose limits are kept: free, basic, premium, professional, unlimited.",
        autocompletion=_plans,
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", help=f"Settings file: TOML with url, token, plan, ca_file. [{FILE}]"
    ),
]
CaFile = Annotated[
    Path | None,
    typer.Option(
        "--ca-file",
        metavar="FILE",
        help="PEM file with the CAs that alone are trusted, else TICKWIRE_CA_FILE, else the settings file's, "
        "else the system's.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


MOST_BYTES = 2**16


class Defaults(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the settings file says."""

    url: str | None = None
    token: str | None = None
    plan: str | None = None
    ca_file: str | None = None


def upstream(
    url: str | None, token: str | None, plan: str | None, config: Path | None, ca_file: Path | None = None
) -> Account:
    """The server that the flags name, else the environment, else the settings file, else the one on this
    machine.

    The file's token, plan and CAs belong to its URL: with another one they do not count, lest a token goes
    where it does not belong. Raises SettingsError, which says what is wrong or missing, and never a token.
    """
    from ..client import PLANS, Network, Unauthorized, account

    path, defaults = _settings(config)
    asked = url or os.environ.get("TICKWIRE_URL") or defaults.url
    if defaults.url is None or (asked or "").rstrip("/") == defaults.url.rstrip("/"):
        plan = plan or defaults.plan
        token = token or os.environ.get("TICKWIRE_TOKEN") or defaults.token
        if defaults.ca_file is not None and not os.environ.get("TICKWIRE_CA_FILE"):
            ca_file = ca_file or path.parent / defaults.ca_file
    if plan and plan not in PLANS:
        raise SettingsError(f"{plan!r} is no plan: use one of {', '.join(PLANS)}.")
    network = Network(ca_file)
    valid("--ca-file", Network.check, network)
    try:
        return account(asked, token or None, plan or None, network)
    except Unauthorized:
        host = urlsplit(asked or "").hostname
        raise SettingsError(
            f"No token for {host}: give --token, set TICKWIRE_TOKEN, or write url and token into {path}."
        ) from None
    except ValueError as error:
        raise SettingsError(f"{error}.") from None


def valid(option: str, read: Callable[P, R], *value: P.args, **named: P.kwargs) -> R:
    """What `read` makes of an option's value. Raises SettingsError where it raises ValueError."""
    try:
        return read(*value, **named)
    except ValueError as error:
        raise SettingsError(f"{option}: {error}.") from None


def ask(server: Account, question: Callable[[Api], Awaitable[R]], name: str = "") -> R:
    """What a server answers over HTTP to what is asked of its API, be it the extension of that name. Raises
    ClientError that is explained."""
    from ..client import Api

    async def asking() -> R:
        async with Api(server.url, token=server.token, plan=server.plan, network=server.network) as api:
            return await question(api)

    with explained(server), extension(name) if name else nullcontext():
        return asyncio.run(asking())


@contextmanager
def explained(server: Account) -> Iterator[None]:
    """Errors of the client that are raised within say also where it was, and what to do."""
    from ..client import shown_url
    from ..client.errors import ClientError, TooManyRequests, Unauthorized, Unavailable, Unreadable, Untrusted
    from ..wire import CODE_INVALID

    remedies: dict[type[ClientError], str] = {
        Unauthorized: "Give the right token with --token or in TICKWIRE_TOKEN.",
        TooManyRequests: "Others may use this token too; --plan names its plan, whose limits are then kept.",
        Unavailable: "If nothing runs there: `tickwire serve` starts a server here; --url names another.",
        Untrusted: TRUST,
        Unreadable: "Is it a server of the AllTick protocol?",
    }
    if (proxy := server.network.proxy_for(server.url)) is not None:
        remedies[Unavailable] = (
            f"It is reached by the proxy {shown_url(proxy)}, as HTTP_PROXY, HTTPS_PROXY or ALL_PROXY says; "
            "NO_PROXY names hosts that are reached without."
        )
    try:
        yield
    except ClientError as error:
        remedy = remedies.get(type(error), "")
        if isinstance(error, Unavailable) and error.status:
            remedy = ""  # something answered
        if error.ret == CODE_INVALID.code:
            remedy = KNOWN_CODES
        text = f"{address(server)}: {str(error).rstrip('.')}. {remedy}".rstrip()
        raise type(error)(
            text, ret=error.ret, msg=error.msg, status=error.status, retry_after=error.retry_after
        ) from None


@contextmanager
def extension(name: str) -> Iterator[None]:
    """A refusal of what is asked for within says that only a Tickwire answers `/v1/NAME`."""
    from ..client import RequestRefused, Unreadable

    try:
        yield
    except (RequestRefused, Unreadable) as error:
        if not NO_SUCH_PATH & {error.ret, error.status}:
            raise
        text = f"only a Tickwire answers /v1/{name}, and this is none"
        raise RequestRefused(text, ret=error.ret, msg=error.msg, status=error.status) from None


def address(server: Account) -> str:
    """The server's URL as it may be shown: no name and no password, if it has them."""
    parts = urlsplit(server.url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _settings(path: Path | None) -> tuple[Path, Defaults]:
    """The settings file that is named, else the user's own, which need not be there: where it is, and what it
    says. Raises SettingsError."""
    if path is None:
        from platformdirs import user_config_path

        path = user_config_path("tickwire", appauthor=False) / FILE
        if not path.exists():
            return path, Defaults()
    try:
        return path, msgspec.convert(read_toml(path, "the settings file", MOST_BYTES), Defaults)
    except (InputError, msgspec.ValidationError) as error:
        where = "" if str(path) in str(error) else f"The settings file {path} holds what it may not: "
        text = str(error).rstrip(".")
        raise SettingsError(f"{where}{text}. It may have url, token, plan and ca_file.") from None

"""The settings: one typed class, from which flags, environment, TOML file and documents come."""

from __future__ import annotations

import difflib
import functools
import os
import platform
import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from platformdirs import user_data_path
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, InstanceOf, SecretStr, ValidationError

from .access import BUILT_IN, UNLIMITED, Plan, read_plan
from .errors import InputError, SettingsError
from .files import read_toml, toml_in
from .model import YEAR_1990, YEAR_2100, KlineType, Slow
from .sources import QuoteTrades

ENV_PREFIX = "TICKWIRE_"
OF_CLIENTS = {"TICKWIRE_URL", "TICKWIRE_TOKEN"}
"""Variables that say to a client where its server is."""
OF_THE_BUILD = {"TICKWIRE_ACCELERATOR"}
"""Variables that say what of the program is used; see `machine.fanout`."""
SECRETS = {"bus", "upstream_token", "database"}
"""Settings that no message may show."""
VENDOR = "https://quote.alltick.co"
MOST_BYTES = 2**20
"""Bytes of a file of settings."""
SHOWN = 200
"""Characters of a wrong value that a message shows."""
MOST_HOSTS = 100
"""Names of one certificate."""
HOST = re.compile(
    r"(?:\*\.)?(?!(?:[\d.]+)$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*"
)
"""The name of a host, or of all below one."""
POSTGRESQL = ("postgresql://", "postgres://")
"""How the URL of a database begins."""
DATABASE = "tickwire.db"
"""The file of the data directory that bars are kept in."""


class SourceKind(StrEnum):
    """Where data comes from."""

    SIMULATOR = "simulator"
    REPLAY = "replay"
    ALLTICK = "alltick"
    EXCHANGE = "exchange"
    PUBLISH = "publish"


READS = {
    SourceKind.SIMULATOR: "rate market_hours start hold",
    SourceKind.REPLAY: "file speed rebase hold loop exit_at_end strict_input keep_bars from_time to_time "
    "quote_trades",
    SourceKind.ALLTICK: "upstream_url upstream_token upstream_token_file upstream_plan ca_file "
    "upstream_silence",
    SourceKind.EXCHANGE: "symbols exchanges upstream_silence",
    SourceKind.PUBLISH: "quote_trades upstream_silence",
}
"""Settings that only these sources read."""
OF_CLUSTERS = {"role", "cluster", "node", "bus_credentials", "bus_ca"}
"""Settings that only the nodes of a cluster read."""
MAY_BE_EMPTY = {"codes", "scenario"}
"""Lists of which an empty one is what there is without a setting."""


ALIVE = {
    *("instruments", "plan", "plans", "takeover_after", "day_reset", "tls_cert", "tls_key"),
    *("drain_seconds", "ring_seconds", "ring_bytes", "kline_push_interval", "retention"),
}
"""Settings that a running server takes on when it is told to read them again; others count from its start."""


class Choice(NamedTuple):
    """A source that was chosen: of an exchange with its venue; with `codes`, those that it owns alone."""

    kind: SourceKind
    venue: str = ""
    codes: tuple[str, ...] = ()

    @classmethod
    def read(cls, text: str) -> Choice:
        """What a person writes: `simulator`, `exchange:binance`, `alltick=GOLD,EURUSD`. Raises ValueError."""
        name, _, codes = text.partition("=")
        kind, _, venue = name.strip().partition(":")
        if kind not in [*SourceKind]:
            raise ValueError(f"{kind!r} is none of {', '.join(SourceKind)}")
        if (kind == SourceKind.EXCHANGE) is not bool(venue):
            raise ValueError("an exchange is named as exchange:binance, and no other source with a colon")
        return cls(SourceKind(kind), venue, tuple(_listed(codes)))

    def __str__(self) -> str:
        name = f"{self.kind}:{self.venue}" if self.venue else str(self.kind)
        return f"{name}={','.join(self.codes)}" if self.codes else name


class Role(StrEnum):
    """What a node of a cluster does."""

    MARKET = "market"
    GATEWAY = "gateway"
    BOTH = "both"


class LogLevel(StrEnum):
    """How much is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def _listed(value: Any) -> Any:
    """A list as a person writes it: separated by commas."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Paths = Annotated[list[Path], BeforeValidator(_listed)]
Codes = Annotated[list[str], BeforeValidator(_listed)]


def _choices(value: Any) -> Any:
    """Sources as a person writes them: a list, or a text with semicolons."""
    texts = value.split(";") if isinstance(value, str) else value
    if not isinstance(texts, (list, tuple)) or not all(isinstance(one, (str, Choice)) for one in texts):
        raise ValueError("expected names of sources")
    found = [one if isinstance(one, Choice) else Choice.read(one) for one in texts]
    if not found or len({(one.kind, one.venue) for one in found}) < len(found):
        raise ValueError("each source is named once")
    return found


def _toml(value: Any) -> Any:
    """Tables of TOML, or the text of such tables in a variable. Raises ValueError."""
    try:
        return toml_in(value, "the text") if isinstance(value, str) else value
    except InputError as error:
        raise ValueError(str(error).rstrip(".")) from None


def _days_by_type(value: Any) -> Any:
    """What `1=90,2=365` says."""
    if not isinstance(value, str):
        return value
    pairs = [part.partition("=") for part in _listed(value)]
    if not all(days for _, _, days in pairs):
        raise ValueError("expected days by type, such as 1=90,2=365")
    return {name.strip(): days for name, _, days in pairs}


def _plans(value: Any) -> Any:
    """Plans by name."""
    value = _toml(value)
    if not isinstance(value, dict) or not all(isinstance(fields, dict) for fields in value.values()):
        raise ValueError("expected a table for each plan, such as [plans.desk]")
    return {name: read_plan(name, fields) for name, fields in value.items()}


def _minutes_of_day(value: Any) -> Any:
    """What `06:30` says."""
    found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)", value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("expected a time such as 06:30")
    return value


def _moment(value: Any) -> Any:
    """Milliseconds since the epoch of a time as a person writes it; UTC unless it says otherwise."""
    if not isinstance(value, (str, datetime)):
        return value
    try:
        read = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError("expected a time such as 2026-11-22T09:30Z") from None
    return int((read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp() * 1000)


def _market_moment(value: Any) -> Any:
    """The same of a moment at which there may be data."""
    found = _moment(value)
    if isinstance(found, int) and not YEAR_1990 <= found < YEAR_2100:
        raise ValueError("expected a time from 1990 to 2099, such as 2026-11-16T14:30:00Z")
    return found


def _hosts(value: Any) -> Any:
    """Names that a certificate may have: of hosts, in lower case, and addresses."""
    found = [str(one).lower() for one in _listed(value)] if isinstance(value, (str, list)) else value
    for name in found if isinstance(found, list) else ():
        if not _is_host(name):
            raise ValueError(f"{name[:SHOWN]!r} is no name of a host and no address")
    return [*dict.fromkeys(found)] if isinstance(found, list) else found


def _is_host(name: str) -> bool:
    try:
        return bool(ip_address(name))
    except ValueError:
        return len(name) <= 253 and HOST.fullmatch(name) is not None


def _networks(value: Any) -> Any:
    """Addresses and networks, as `10.0.0.0/8`."""
    found = _listed(value)
    for one in found if isinstance(found, list) else ():
        try:
            ip_network(one)
        except ValueError:
            raise ValueError(
                f"{str(one)[:SHOWN]!r} is no address and no network such as 10.0.0.0/8"
            ) from None
    return found


Moment = Annotated[int, BeforeValidator(_moment)]
MarketMoment = Annotated[int, BeforeValidator(_market_moment)]
Networks = Annotated[list[str], BeforeValidator(_networks)]
Hosts = Annotated[list[str], Field(max_length=MOST_HOSTS), BeforeValidator(_hosts)]
Choices = Annotated[list[InstanceOf[Choice]], BeforeValidator(_choices)]
Venues = Annotated[dict[str, dict[str, Any]], BeforeValidator(_toml)]
Plans = Annotated[dict[str, InstanceOf[Plan]], BeforeValidator(_plans)]
TimeOfDay = Annotated[str, BeforeValidator(_minutes_of_day)]
Retention = Annotated[
    dict[Annotated[int, Field(ge=1, le=len(KlineType))], Annotated[int, Field(ge=1)]],
    BeforeValidator(_days_by_type),
]


def _database(value: Any) -> Any:
    """The URL of a database."""
    if isinstance(value, str) and not value.startswith(POSTGRESQL):
        raise ValueError("expected a URL such as postgresql://HOST/NAME")
    return value


SERVER = re.compile(r"(nats|tls)://([^/\s:\[\]]+|\[[0-9a-fA-F:]+\])(:(?P<port>\d{1,5}))?")


def _servers(value: Any) -> Any:
    """URLs of NATS servers."""
    found = _listed(value)
    for one in found if isinstance(found, list) else ():
        if "@" in str(one):
            raise ValueError(
                "a password stands in it: put it in a file, and name that with --bus-credentials"
            )
        read = SERVER.fullmatch(str(one))
        if read is None or int(read["port"] or 0) > 65535:
            raise ValueError(f"{str(one)[:SHOWN]!r} is no URL such as nats://HOST:4222")
    return found


Servers = Annotated[list[str], BeforeValidator(_servers)]
Word = Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z._-]{0,62}$")]
ClusterName = Annotated[str, Field(pattern=r"^[0-9A-Za-z_-]{1,32}$")]
Database = Annotated[SecretStr, BeforeValidator(_database)]


class Settings(BaseModel):
    """What a server is told. A flag goes before the environment, that before the file, that before the
    default. What each setting is for stands in settings.toml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    port: int = Field(default=8600, ge=0, le=65535)
    open: bool = False
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_self_signed: Hosts = []
    source: Choices = [Choice(SourceKind.SIMULATOR)]
    fallback_after: float = Field(default=30.0, ge=0, le=86400)
    upstream_url: str = VENDOR
    upstream_token: SecretStr | None = None
    upstream_token_file: Path | None = None
    upstream_plan: str = "free"
    ca_file: Path | None = None
    upstream_silence: float = Field(default=60.0, ge=1, le=86400)
    symbols: Paths = []
    exchanges: Venues = {}
    file: Paths = []
    speed: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    rebase: bool = False
    hold: bool = False
    loop: bool = False
    exit_at_end: bool = False
    quote_trades: QuoteTrades = QuoteTrades.BID
    strict_input: bool = False
    seed: int = 1
    start: MarketMoment | None = None
    rate: float = Field(default=2.0, gt=0, le=1000)
    market_hours: bool = False
    codes: Codes = []
    instruments: Paths = []
    drain_seconds: float = Field(default=1.0, ge=0, le=3600)
    database: Database | None = None
    spool_bytes: int = Field(default=2**30, ge=2**20)
    data_dir: Path = Field(default_factory=lambda: user_data_path("tickwire", appauthor=False))
    group_read: bool = False
    no_auth: bool = False
    plan: str = UNLIMITED.name
    plans: Plans = {}
    takeover_after: float = Field(default=15.0, ge=0, le=3600)
    day_reset: TimeOfDay = "00:00"
    scenario: Codes = []
    snapshot_on_subscribe: bool = True
    strict_protocol: bool = False
    legacy_string_ids: bool = False
    permessage_deflate: bool = False
    max_handshakes: int = Field(default=1000, ge=1)
    max_connections_per_address: int | None = Field(default=None, ge=1)
    trusted_proxies: Networks = []
    max_subscriptions: int = Field(default=10_000, ge=1)
    slow: Slow = Slow.CLOSE
    client_buffer: int = Field(default=8 * 2**20, ge=2**16)
    unread_bytes: int | None = Field(default=None, ge=2**20)
    unread_timeout: float = Field(default=30.0, ge=1, le=3600)
    ring_seconds: float = Field(default=60.0, ge=0, le=3600)
    ring_bytes: int = Field(default=64 * 2**20, ge=0)
    close_delay: float = Field(default=2.0, ge=0, le=60)
    late_window: float = Field(default=60.0, ge=0, le=3600)
    kline_push_interval: float = Field(default=0.25, gt=0, le=60)
    from_time: Moment | None = None
    to_time: Moment | None = None
    record: Path | None = None
    history: Paths = []
    record_keep_days: int | None = Field(default=None, ge=1)
    record_keep_bytes: int | None = Field(default=None, ge=1)
    keep_bars: bool = False
    flat_bars: bool = False
    retention: Retention = {}
    log_level: LogLevel = LogLevel.INFO
    workers: Annotated[int, Field(ge=0, le=256)] | Literal["auto"] = 0
    bus: Servers = []
    role: Role = Role.BOTH
    cluster: ClusterName = "tickwire"
    node: Word | None = None
    bus_credentials: Path | None = None
    bus_ca: Path | None = None

    @property
    def node_name(self) -> str:
        """What this node of a cluster goes by: empty where there is none."""
        if not self.bus:
            return ""
        return self.node or re.sub(r"[^0-9A-Za-z._-]", "-", platform.node()).strip("-.") or "node"

    @property
    def database_url(self) -> str | None:
        """The URL of the database; None for the SQLite file of the data directory."""
        return None if self.database is None else self.database.get_secret_value()


@functools.cache
def groups() -> dict[str, dict[str, str]]:
    """What each setting is for, by its name, in the groups of docs/settings.md."""
    return read_toml(Path(__file__).with_name("settings.toml"), "the settings")


def about(name: str) -> str:
    """What a setting is for."""
    return next(texts[name] for texts in groups().values() if name in texts)


class Origin(NamedTuple):
    """Where some settings come from, and how a person writes one there."""

    values: Mapping[str, Any]
    shown: Callable[[str], str]


def load(
    flags: dict[str, Any], config: Path | None = None, environment: Mapping[str, str] = os.environ
) -> Settings:
    """The settings from flags, environment and file. Raises SettingsError with one line per mistake."""
    origins = [
        Origin(flags, _flag),
        Origin(_settings_in(environment), lambda name: ENV_PREFIX + name.upper()),
        Origin(_file(config) if config else {}, lambda name: f"{name} in {config}"),
    ]
    problems = [
        _unknown(name, origin)
        for origin in origins
        for name in origin.values
        if name not in Settings.model_fields
    ]
    problems += [
        f"{origin.shown(name)}: it is empty: give a value, or leave it out."
        for origin in origins
        for name, value in origin.values.items()
        if name not in MAY_BE_EMPTY and _is_empty(value)
    ]
    if problems:
        raise SettingsError("\n".join(problems))
    check_no_password("--database", flags.get("database"))
    merged = {**origins[2].values, **origins[1].values, **origins[0].values}
    try:
        settings = Settings(**merged)
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            name = str(problem["loc"][0])
            origin = next(origin for origin in origins if name in origin.values)
            got = "" if name in SECRETS else f" (got {_shown(problem['input'])})"
            text = problem["msg"].removeprefix("Value error, ")
            lines.append(f"{origin.shown(name)}: {text}{got}.")
        raise SettingsError("\n".join(lines)) from None
    _check(settings, flags)
    return settings


def check_no_password(flag: str, url: str | None) -> None:
    """Raises SettingsError if there is a password in the URL of a database that stands in a flag."""
    if url and (":" in url.partition("://")[2].rpartition("@")[0] or "password=" in url):
        raise SettingsError(
            f"{flag} has a password, which whoever lists the processes of this machine would see. Leave it "
            "to TICKWIRE_DATABASE, to a file that --config names, to PGPASSWORD or to ~/.pgpass."
        )


def _check(settings: Settings, flags: Collection[str]) -> None:
    """What settings must have together. Raises SettingsError.

    A flag that nothing would read is refused. Environment and file may hold more, for other starts, but not a
    recording: who names one would be served something else.
    """
    kinds = {one.kind for one in settings.source}
    for name in [*flags, *(["file"] if settings.file else [])]:
        readers = [kind for kind, names in READS.items() if name in names.split()]
        if readers and not kinds & {*readers}:
            of = " or ".join(f"--source {kind}" for kind in readers)
            raise SettingsError(
                f"{_flag(name)} does nothing here, it is for {of}: add that, or leave it out."
            )
        if name.startswith("record_keep_") and settings.record is None:
            raise SettingsError(
                f"{_flag(name)} does nothing here: say what to record into with --record DIR."
            )
    if SourceKind.REPLAY in kinds and not settings.file:
        raise SettingsError("A replay needs a recording: name it with --file PATH.")
    if SourceKind.REPLAY in kinds and len(settings.source) > 1:
        raise SettingsError("A replay runs on its own clock: it cannot be mixed with other sources.")
    for name in flags:
        if name in OF_CLUSTERS and not settings.bus:
            raise SettingsError(f"{_flag(name)} does nothing here, it is for a cluster: add --bus.")
    if settings.start is not None and SourceKind.SIMULATOR in kinds and len(settings.source) > 1:
        raise SettingsError("--start gives a simulator a clock of its own: leave out the other sources.")
    if "hold" in flags and kinds == {SourceKind.SIMULATOR} and settings.start is None:
        raise SettingsError("--hold lets a replay wait, or a simulator with --start TIME: add that.")
    if settings.loop and settings.exit_at_end:
        raise SettingsError("A replay with --loop never ends: leave it out, or --exit-at-end.")
    if (settings.tls_cert is None) is not (settings.tls_key is None):
        raise SettingsError("--tls-cert and --tls-key go together: give both.")
    if settings.tls_cert is not None and settings.tls_self_signed:
        raise SettingsError(
            "--tls-self-signed makes a certificate of its own: leave out --tls-cert and --tls-key."
        )
    given = [settings.upstream_token, settings.upstream_token_file]
    if SourceKind.ALLTICK in kinds and given.count(None) != 1:
        raise SettingsError("--source alltick needs --upstream-token or --upstream-token-file, one of them.")
    for name, plan in (("", settings.plan), ("upstream ", settings.upstream_plan)):
        if plan not in BUILT_IN and plan not in settings.plans:
            known = ", ".join([*BUILT_IN, *settings.plans])
            raise SettingsError(f"The {name}plan {plan!r} is none of {known}.")


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _settings_in(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name.removeprefix(ENV_PREFIX).lower(): value
        for name, value in environment.items()
        if name.startswith(ENV_PREFIX) and name not in OF_CLIENTS | OF_THE_BUILD
    }


def _file(path: Path) -> dict[str, Any]:
    try:
        return read_toml(path, "the configuration", MOST_BYTES)
    except InputError as error:
        raise SettingsError(str(error)) from None


def _shown(value: object) -> str:
    """A value as a message shows it: no more of it than a line holds."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, endless nesting
        return "too much to show"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _is_empty(value: object) -> bool:
    """Whether somebody wrote nothing where a value is expected: taken for "none", it would switch off what it
    was to switch on."""
    if isinstance(value, list):
        return any(map(_is_empty, value))
    return isinstance(value, str) and not value.strip(" \t\r\n,;")


def _unknown(name: str, origin: Origin) -> str:
    near = difflib.get_close_matches(name, Settings.model_fields, n=1, cutoff=0)
    return f"Unknown setting {origin.shown(name)}; the nearest known one is {origin.shown(near[0])}."

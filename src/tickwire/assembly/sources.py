"""The sources that the settings name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import TypeAlias
from urllib.parse import urlsplit

import structlog

from ..access import BUILT_IN
from ..client import Network, Rates, RealClock, http_url
from ..config import VENDOR, Choice, Settings, SourceKind
from ..errors import InputError, SettingsError
from ..files import is_folder
from ..machine import Machine, VirtualTime
from ..model import Catalogue, Entrance, Instrument, event_fault, family_of, looks_like
from ..sources import (
    DEFAULT_CODES,
    Csv,
    Health,
    Judge,
    Load,
    Moments,
    Published,
    Recording,
    Reel,
    Replay,
    Simulator,
    Source,
    decimals_in,
)
from ..sources.exchange import Exchange, load_symbols
from ..sources.relay import Relay, TokenFile, UpstreamPlan
from ..store.recordings import Recordings

log = structlog.get_logger()

UNSEALED = "its journal is not sealed yet: the server that records does it, or the next if it was killed"

Keep: TypeAlias = Callable[[Instrument], Awaitable[None]]


def source_of(
    choice: Choice, settings: Settings, catalogue: Catalogue, keep: Keep, machine: Machine
) -> Source:
    """A live or simulated source; `keep` keeps instruments that are published. Raises TickwireError if it
    cannot be used."""
    codes = [*choice.codes] or settings.codes
    if codes == ["all"]:
        codes = [one.code for one in catalogue]
    if choice.kind is SourceKind.ALLTICK:
        return _relay(settings, catalogue, codes, machine)
    codes = [code for code in codes if code in catalogue]  # a relay may learn what the others are
    match choice.kind:
        case SourceKind.EXCHANGE:
            symbols = load_symbols(settings.symbols)
            return Exchange(
                choice.venue,
                catalogue,
                symbols,
                keep=codes,
                options=settings.exchanges.get(choice.venue, {}),
                silence=settings.upstream_silence,
                machine=machine,
            )
        case SourceKind.PUBLISH:
            return Published(
                catalogue,
                codes,
                keep=keep,
                quote_trades=settings.quote_trades,
                silence=settings.upstream_silence,
                wall=machine.millis,
            )
        case _:
            return Simulator(
                catalogue,
                codes or DEFAULT_CODES,
                seed=settings.seed,
                rate=settings.rate,
                hours=settings.market_hours,
                clock=machine.millis,
                virtual=machine.time_ns if isinstance(machine.time_ns, VirtualTime) else None,
                hold=settings.hold and settings.start is not None,
            )


def may_be(code: str, settings: Settings, catalogue: Catalogue) -> bool:
    """Whether a code of the settings is known, or the upstream of a relay may know it."""
    if code in catalogue:
        return True
    relays = [one for one in settings.source if one.kind is SourceKind.ALLTICK]
    named = any(code in one.codes for one in relays) or code in settings.codes
    return bool(relays) and named and looks_like(family_of(code), code)


def _relay(settings: Settings, catalogue: Catalogue, codes: Collection[str], machine: Machine) -> Relay:
    # What it asks with takes long to import: so not on the loop, which would stand still.
    import httpcore  # noqa: F401
    import httpx  # noqa: F401
    import websockets.asyncio.client  # noqa: F401

    plan = (BUILT_IN | settings.plans)[settings.upstream_plan]
    secret, file = settings.upstream_token, settings.upstream_token_file
    token: Callable[[], str] = str
    if file is not None:
        token = TokenFile(file, machine.disk)
    elif secret is not None:
        token = secret.get_secret_value
    terms = UpstreamPlan(
        connections=plan.connections,
        codes=plan.codes,
        connect_spacing=plan.connection_spacing,
        subscribe_spacing=0.0 if plan.subscriptions is None else plan.subscriptions.seconds,
        http_codes=plan.http_codes,
        rates=Rates(plan.endpoint, plan.batch_kline, plan.suspension, plan.http, plan.per_day),
    )
    url, network = settings.upstream_url, Network(settings.ca_file)
    try:
        network.check()
    except ValueError as error:
        raise SettingsError(f"--ca-file: {error}.") from None
    try:
        http_url(url, None)
    except ValueError as error:
        raise SettingsError(f"--upstream-url: {error}.") from None
    try:
        network.proxy_for(url)
    except ValueError as error:
        raise SettingsError(f"--upstream-url is reached by a proxy: {error}.") from None
    try:
        return Relay(
            catalogue,
            url,
            token=token,
            # What another server makes up must not end up among the vendor's bars.
            name="alltick" if url == VENDOR else f"alltick:{urlsplit(url).netloc}",
            plan=terms,
            keep=codes,
            silence=settings.upstream_silence,
            probe=url != VENDOR,
            network=network,
            clock=RealClock(machine.monotonic),
            wall=machine.millis,
            dice=machine.dice,
        )
    except ValueError as error:
        raise SettingsError(f"--upstream-url: {error}.") from None


def replay_of(settings: Settings, catalogue: Catalogue, machine: Machine) -> Replay:
    """A replay of files, or of folders that were recorded into. Raises TickwireError for what can be seen of
    them at once; the rest is found when it prepares."""
    folders = [path for path in settings.file if is_folder(path)]
    if not folders:
        return _replay_of_files(settings, catalogue, machine)
    if len(folders) < len(settings.file):
        raise SettingsError(
            "--file names folders that were recorded into and files: they are not replayed together."
        )
    return _replay_of_folders(settings, catalogue, machine)


def _replay_of_files(settings: Settings, catalogue: Catalogue, machine: Machine) -> Replay:
    if (settings.from_time, settings.to_time) != (None, None):
        raise SettingsError("--from-time and --to-time are for a folder that --record made, not for files.")
    only = None if settings.codes in ([], ["all"]) else frozenset(settings.codes)
    recording = Recording(settings.file, catalogue, only=only)
    recording.look()
    names = ",".join(path.name for path in settings.file)
    health = Health(wall=machine.millis)

    def load(tell: Callable[[int], None]) -> Reel:
        scan = recording.scan(strict=settings.strict_input, tell=tell)
        if not scan.lines:
            raise InputError(f"Nothing to replay in {names}: no line of it can be read.")
        log.info(
            "recording read",
            files=names,
            lines=scan.lines,
            bad_lines=scan.bad_lines,
            codes=len(scan.decimals),
        )
        health.bad, health.crossed = scan.bad_lines, scan.crossed
        return Reel(
            sorted(scan.decimals),
            scan.first_time,
            Csv(recording, catalogue, scan.traded, settings.quote_trades).moments,
            catalogue.wider(decimals_in(scan, settings.quote_trades)),
        )

    return _replay(settings, names, load, health, machine)


def _replay_of_folders(settings: Settings, catalogue: Catalogue, machine: Machine) -> Replay:
    """A replay of what servers recorded."""
    names = ",".join(path.name for path in settings.file)
    recordings = Recordings(*settings.file)
    found = recordings.contents()
    every = settings.codes in ([], ["all"])
    codes = {code: one for code, one in found.codes.items() if every or code in settings.codes}
    if unknown := [code for code in codes if code not in catalogue]:
        raise InputError(f"{names} holds {unknown[0]!r}, which is unknown here: add it with --instruments.")
    health = Health(wall=machine.millis)
    judge = Judge(f"replay:{names}", Entrance.REPLAY, catalogue, health)
    span = settings.from_time, settings.to_time, frozenset(codes)

    def load(_: Callable[[int], None]) -> Reel:
        fit = (
            one.event
            for one in recordings.read(*span)
            if event_fault(one.event, catalogue[one.event.code], Entrance.REPLAY) is None
        )
        if (first := next(fit, None)) is None:
            why = UNSEALED if found.unsealed_bytes else "it holds no such code at that time"
            raise InputError(f"Nothing to replay in {names}: {why}.")
        if found.unsealed_bytes:
            log.warning("a part is not replayed", folders=names, bytes=found.unsealed_bytes, reason=UNSEALED)
        log.info("recording read", folders=names, trades=found.trades, books=found.books, codes=len(codes))
        decimals = {code: (one.price_decimals, one.volume_decimals) for code, one in codes.items()}
        return Reel(sorted(codes), first.time, moments, catalogue.wider(decimals))

    def moments() -> Moments:
        """In the order in which they came; a server that knew fewer rules may have recorded what is unfit."""
        every_event = (one.event for one in recordings.read(*span))
        return ((event.time, [event]) for event in every_event if judge.passes(event))

    simulated, corrected = Simulator.name in found.sources, found.corrections > 0
    return _replay(settings, names, load, health, machine, simulated=simulated, corrected=corrected)


def _replay(
    settings: Settings,
    name: str,
    load: Load,
    health: Health,
    machine: Machine,
    *,
    simulated: bool = False,
    corrected: bool = False,
) -> Replay:
    return Replay(
        name,
        load,
        speed=settings.speed,
        rebase=settings.rebase,
        hold=settings.hold,
        loop=settings.loop,
        simulated=simulated,
        corrected=corrected,
        health=health,
        monotonic=machine.monotonic,
        wall=machine.millis,
    )

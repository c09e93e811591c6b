"""The sources that the settings name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator
from typing import TypeAlias
from urllib.parse import urlsplit

import structlog

from ..access import BUILT_IN
from ..client import Network, Rates, RealClock, http_url
from ..config import VENDOR, Choice, Settings, SourceKind
from ..errors import InputError, SettingsError
from ..files import is_folder
from ..machine import Machine
from ..model import Catalogue, Entrance, Event, Instrument, event_fault, family_of, looks_like
from ..sources import (
    DEFAULT_CODES,
    Csv,
    Health,
    Judge,
    Published,
    Recording,
    Replay,
    Simulator,
    Source,
    Status,
    widened,
)
from ..sources.exchange import Exchange, load_symbols
from ..sources.relay import Relay, TokenFile, UpstreamPlan
from ..store.recordings import Recordings

log = structlog.get_logger()

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
            )


def may_be(code: str, settings: Settings, catalogue: Catalogue) -> bool:
    """Whether a code of the settings is known, or the upstream of a relay may know it."""
    if code in catalogue:
        return True
    relays = [one for one in settings.source if one.kind is SourceKind.ALLTICK]
    named = any(code in one.codes for one in relays) or code in settings.codes
    return bool(relays) and named and looks_like(family_of(code), code)


def _relay(settings: Settings, catalogue: Catalogue, codes: Collection[str], machine: Machine) -> Relay:
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


def replay_of(settings: Settings, catalogue: Catalogue, machine: Machine) -> tuple[Catalogue, Replay]:
    if any(map(is_folder, settings.file)):
        return _replay_folder(settings, catalogue, machine)
    if (settings.from_time, settings.to_time) != (None, None):
        raise SettingsError("--from-time and --to-time are for a folder that --record made, not for files.")
    only = None if settings.codes in ([], ["all"]) else frozenset(settings.codes)
    recording = Recording(settings.file, catalogue, only=only)
    scan = recording.scan(strict=settings.strict_input)
    names = ",".join(path.name for path in settings.file)
    if not scan.lines:
        raise InputError(f"Nothing to replay in {names}: no line of it can be read.")
    log.info(
        "recording read", files=names, lines=scan.lines, bad_lines=scan.bad_lines, codes=len(scan.decimals)
    )
    catalogue = widened(catalogue, scan, settings.quote_trades)
    health = Health(Status.UP, wall=machine.millis)
    health.bad, health.crossed = scan.bad_lines, scan.crossed
    replay = Replay(
        names,
        Csv(recording, catalogue, scan.traded, settings.quote_trades).events,
        codes=sorted(scan.decimals),
        first_time=scan.first_time,
        speed=settings.speed,
        rebase=settings.rebase,
        hold=settings.hold,
        loop=settings.loop,
        health=health,
        monotonic=machine.monotonic,
        wall=machine.millis,
    )
    return catalogue, replay


def _replay_folder(settings: Settings, catalogue: Catalogue, machine: Machine) -> tuple[Catalogue, Replay]:
    """A replay of what a server recorded."""
    if len(settings.file) > 1:
        raise SettingsError("--file names a folder that was recorded into: it is replayed alone.")
    (folder,) = settings.file
    recordings = Recordings(folder)
    found = recordings.contents()
    every = settings.codes in ([], ["all"])
    codes = {code: one for code, one in found.codes.items() if every or code in settings.codes}
    if unknown := [code for code in codes if code not in catalogue]:
        raise InputError(f"{folder} holds {unknown[0]!r}, which is unknown here: add it with --instruments.")
    every_event = recordings.read(settings.from_time, settings.to_time, codes)
    fit = (
        one
        for one in every_event
        if event_fault(one.event, catalogue[one.event.code], Entrance.REPLAY) is None
    )
    first = next(fit, None)
    if first is None:
        raise InputError(f"Nothing to replay in {folder}: it holds no such code at that time.")
    log.info("recording read", folder=str(folder), trades=found.trades, books=found.books, codes=len(codes))
    decimals = {code: (one.price_decimals, one.volume_decimals) for code, one in codes.items()}
    catalogue = catalogue.widened(decimals)
    health = Health(Status.UP, wall=machine.millis)
    judge = Judge(f"replay:{folder.name}", Entrance.REPLAY, catalogue, health)

    def events() -> Iterator[tuple[int, list[Event]]]:
        """In the order in which they came; a server that knew fewer rules may have recorded what is unfit."""
        found = recordings.read(settings.from_time, settings.to_time, frozenset(codes))
        return ((one.event.time, [one.event]) for one in found if judge.passes(one.event))

    replay = Replay(
        folder.name,
        events,
        codes=sorted(codes),
        first_time=first.event.time,
        speed=settings.speed,
        rebase=settings.rebase,
        hold=settings.hold,
        loop=settings.loop,
        simulated=Simulator.name in found.sources,
        health=health,
        monotonic=machine.monotonic,
        wall=machine.millis,
    )
    return catalogue, replay

"""What a running engine takes on of settings and files that have changed: all of it, or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from ..access import BUILT_IN
from ..config import ALIVE, Settings, SourceKind
from ..gateway.admission import Rules
from ..model import Instrument
from ..store import load_instruments
from .engine import Engine, GatewayEngine, MarketEngine

TLS = ("tls_cert", "tls_key")
AnyEngine: TypeAlias = MarketEngine | GatewayEngine


class Renewal(NamedTuple):
    """What has been read and checked, and can be taken on without anything that may fail.

    `later` names settings and instruments that have changed too, and count from the next start.
    """

    settings: Settings
    changed: list[str]
    new: list[Instrument]
    later: list[str]

    def carry_out(self, engine: AnyEngine) -> None:
        """Takes it on."""
        for one in self.new:
            if not engine.catalogue.knows_of(one.code):  # a publisher may have been faster
                engine.catalogue.declare(one)
                engine.declared[one.code] = one
        engine.change(self.settings)


async def renewal_of(engine: AnyEngine, read: Callable[[], Settings]) -> Renewal:
    """Reads the settings, the instruments and the tokens again; disks are waited for in threads.

    Raises TickwireError if any of it cannot be used.
    """
    before, found = engine.settings, await asyncio.to_thread(read)
    changed = [name for name in Settings.model_fields if getattr(found, name) != getattr(before, name)]
    alive = [name for name in changed if name in ALIVE and not _is_start_of_tls(name, before, found)]
    later = [name for name in changed if name not in alive]
    settings = before.model_copy(update={name: getattr(found, name) for name in alive})
    if any(one.kind is SourceKind.ALLTICK for one in before.source):
        plans = [(BUILT_IN | one.plans).get(before.upstream_plan) for one in (before, settings)]
        later += ["upstream_plan"] if plans[0] != plans[1] and "upstream_plan" not in later else []
    declared = await asyncio.to_thread(load_instruments, settings.instruments)
    new = []
    for code, one in declared.items():
        if not engine.catalogue.knows_of(code):
            new.append(one)
        elif engine.declared.get(code) != one:
            later.append(f"instrument {code}")
    later += [f"instrument {code}" for code in engine.declared if code not in declared]
    if not isinstance(engine, Engine | GatewayEngine):  # which has no clients
        return Renewal(settings, alive, new, later)
    await engine.gateway.admission.read_again()
    engine.gateway.admission.check(Rules.of(settings))
    return Renewal(settings, alive, new, later)


def _is_start_of_tls(name: str, before: Settings, after: Settings) -> bool:
    """Whether it would begin or end TLS, which a port does only at the start."""
    return name in TLS and None in (getattr(before, name), getattr(after, name))

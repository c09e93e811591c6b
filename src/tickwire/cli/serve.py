"""`tickwire serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..config import load
from .flags import with_flags


@with_flags
def serve(flags: dict[str, Any], config: Path | None) -> None:
    """Serve market data in the AllTick protocol.

    Examples:

    tickwire serve

    tickwire serve --source replay --file trades.csv.gz --speed 60 --hold

    tickwire serve --port 0 --seed 7 --codes BTCUSDT,GOLD,700.HK

    tickwire serve --seed 7 --start 2026-11-16T14:30:00Z --hold --data-dir /tmp/fresh

    TICKWIRE_UPSTREAM_TOKEN=... tickwire serve --source alltick --upstream-plan basic

    tickwire serve --source exchange:binance --source publish --record ticks/

    tickwire serve --port 443 --tls-self-signed quote.alltick.co

    tickwire serve --bus nats://nats:4222 --role market --database postgresql://db/tickwire

    Every setting may also stand in the environment (TICKWIRE_PORT=0) or in a TOML file (--config).
    """
    settings = load(flags, config)
    from ..machine.logs import configure
    from ..server import serve as run_server

    configure(settings.log_level)
    if settings.workers or settings.bus:
        from ..server.workers import serve_with_workers

        serve_with_workers(flags, config, settings)
        return
    run_server(settings, reread=lambda: load(flags, config))

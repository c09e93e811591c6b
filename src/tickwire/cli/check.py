"""`tickwire check`."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..config import load
from ..errors import SettingsError
from .output import Style, coloured, json_line, note, put, styled, visible
from .upstream import AsJson, CaFile, Config, Plan, Token, upstream

if TYPE_CHECKING:
    from .checking.finding import Finding

STYLES = {"ok": Style.GREEN, "warn": Style.YELLOW, "fail": Style.RED}


def check(
    url: Annotated[
        str | None,
        typer.Argument(
            metavar="[URL]",
            help="Such as http://127.0.0.1:8600, else TICKWIRE_URL, else the settings file's.",
            show_default=False,
        ),
    ] = None,
    codes: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CODE…]", help="What to subscribe to, else six well-known codes.", show_default=False
        ),
    ] = None,
    seconds: Annotated[
        float, typer.Option("--seconds", min=1, max=3600, metavar="S", help="How long to listen.")
    ] = 10.0,
    as_json: AsJson = False,
    token: Token = None,
    plan: Plan = None,
    config: Config = None,
    ca_file: CaFile = None,
    cluster: Annotated[
        bool, typer.Option("--cluster", help="Look at the nodes of a cluster, which settings name.")
    ] = False,
) -> None:
    """Check whether a server of the AllTick protocol is well.

    Asks both families (or those of the codes) over HTTP, connects, subscribes to trades and books, sends
    heartbeats and listens. Prints what was measured line by line: "ok", "warn" or "fail", and what to do.
    A market without trades is no failure.

    Exit status: 0 well, also with warnings; 1 not well; 2 wrong usage or settings.

    Of a cluster it says who owns the streams, who stands by and who follows how closely, and how far clocks
    are apart. What reaches it stands in the settings: TICKWIRE_BUS, TICKWIRE_CLUSTER, or --config.

    Examples:

    tickwire check https://quote.alltick.co --token "$TOKEN" --plan free --seconds 20

    TICKWIRE_BUS=nats://nats:4222 tickwire check --cluster
    """
    if cluster:
        _check_cluster(config, as_json=as_json)
        return
    server = upstream(url, token, plan, config, ca_file)
    from .checking.finding import Verdict
    from .checking.run import check_server

    def tell(finding: Finding) -> None:
        put(json_line(finding.record()) if as_json else _line(finding))

    if sys.stderr.isatty():
        note(f"this takes {seconds:g} seconds or a little longer …")
    verdict = asyncio.run(check_server(server, codes or [], seconds, tell))
    tell(verdict)
    if verdict.verdict is Verdict.FAIL:
        raise typer.Exit(1)


def _check_cluster(config: Path | None, *, as_json: bool) -> None:
    """Raises TickwireError if it cannot be asked."""
    from ..server.cluster import look_at
    from .checking.cluster import findings
    from .checking.finding import Verdict, verdict_of

    settings = load({}, config)
    if not settings.bus:
        raise SettingsError(
            "Which cluster? Name its NATS servers: TICKWIRE_BUS=nats://HOST:4222, or bus in --config."
        )
    found = [*findings(asyncio.run(look_at(settings, lambda: time.time_ns() // 1000)))]
    for one in (*found, verdict := verdict_of(found)):
        put(json_line(one.record()) if as_json else _line(one))
    if verdict.verdict is Verdict.FAIL:
        raise typer.Exit(1)


def _line(finding: Finding) -> str:
    verdict = styled(f"{finding.verdict:<4}", STYLES[finding.verdict], wanted=coloured(sys.stdout))
    advice = f" → {finding.advice}" if finding.advice else ""
    return f"{verdict}  {finding.family:<5}  {finding.check:<11}  {visible(finding.measured)}{advice}\n"

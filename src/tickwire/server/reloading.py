"""What a server reads again when it is told to (SIGHUP): all of it is taken on, or nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import structlog

from ..assembly import GatewayEngine, MarketEngine, renewal_of
from ..config import Settings
from ..errors import TickwireError
from .certificate import Certificate

SHOWN = 5
"""New instruments that the log names."""

log = structlog.get_logger()


class Reloading:
    """Takes on settings, plans, tokens, new instruments and the certificate. No client is dropped but those
    whose token counts no more."""

    def __init__(
        self,
        engine: MarketEngine | GatewayEngine,
        certificate: Certificate | None,
        read: Callable[[], Settings],
    ) -> None:
        """`read` reads the settings from where they came from, and raises SettingsError."""
        self._engine = engine
        self._certificate = certificate
        self._read = read

    async def reload(self) -> bool:
        """Returns whether it was all taken on. What was, or why nothing, is one line of the log."""
        engine, certificate = self._engine, self._certificate
        try:
            async with certificate.looking if certificate is not None else contextlib.nullcontext():
                renewal = await renewal_of(engine, self._read)
                use = None
                if certificate is not None:
                    chain, key = renewal.settings.tls_cert, renewal.settings.tls_key
                    if chain is not None and key is not None:
                        use = await asyncio.to_thread(certificate.read, chain, key)
                    else:
                        use = await asyncio.to_thread(certificate.read_again)
                renewal.carry_out(engine)
                if use is not None:
                    use()
        except TickwireError as error:
            log.error("nothing was taken on", reason=" ".join(str(error).splitlines()))
            return False
        except Exception:
            log.exception("nothing was taken on")
            return False
        log.info(
            "settings, tokens and files were read again",
            changed=renewal.changed,
            new_instruments=len(renewal.new),
            first=[one.code for one in renewal.new[:SHOWN]],
        )
        if renewal.later:
            log.warning("these changes count from the next start", changed=renewal.later)
        return True

"""The certificate of a server, read again when its files change."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path

import structlog

from ..config import Settings
from ..errors import InputError, SettingsError
from ..files import read_bytes
from ..machine import Disk, Machine, Seen

FOLDER = "tls"
"""Where in the data directory the server's own CA and certificate are."""
LOOK = 1.0
"""Seconds between two looks at the files."""
MOST_BYTES = 2**20
"""Bytes of a file."""

log = structlog.get_logger()


class Certificate:
    """A certificate with its chain, and its key, as two files of PEM.

    `context` is what new connections are served with; those that there are keep theirs. `renew` is called
    before each look, and may write the files anew.
    """

    def __init__(
        self, chain: Path, key: Path, disk: Disk, renew: Callable[[], object] = lambda: None
    ) -> None:
        """Raises SettingsError if they cannot be used."""
        self._chain, self._key, self._disk, self._renew = chain, key, disk, renew
        self.looking = asyncio.Lock()
        """Held by whoever reads the files."""
        self._used = self._last = self._look(chain, key)
        try:
            self.context = context_of(chain, key)
        except InputError as error:
            raise SettingsError(str(error)) from None

    async def watch(self) -> None:
        """Looks for changes, for ever."""
        while True:
            await asyncio.sleep(LOOK)
            async with self.looking:
                if (found := await asyncio.to_thread(self.changed)) is not None:
                    self.context = found

    def read(self, chain: Path, key: Path) -> Callable[[], None]:
        """Reads the certificate from these files, which may be others than before, and returns what has new
        connections served with it. Raises InputError if they cannot be used."""
        self._renew()
        seen, found = self._look(chain, key), context_of(chain, key)

        def use() -> None:
            self._chain, self._key, self.context = chain, key, found
            self._used = self._last = seen

        return use

    def read_again(self) -> Callable[[], None]:
        """The same of the files that it is in."""
        return self.read(self._chain, self._key)

    def changed(self) -> ssl.SSLContext | None:
        """The new context, if the files have changed and are as they were at the last look: one that is being
        written, or whose other half is, is left alone. While they cannot be used, the old one stays."""
        self._renew()
        seen, self._last = self._last, self._look(self._chain, self._key)
        if self._last == self._used or self._last != seen:
            return None
        self._used = self._last
        try:
            found = context_of(self._chain, self._key)
        except InputError as error:
            log.error("the old certificate is kept", reason=str(error))
            return None
        log.info("certificate read again", file=str(self._chain))
        return found

    def _look(self, chain: Path, key: Path) -> tuple[Seen, Seen] | None:
        try:
            return self._disk.look(chain), self._disk.look(key)
        except OSError:
            return None


def ca_of(data_dir: Path) -> Path:
    """The file of the server's own CA."""
    return data_dir.absolute() / FOLDER / "ca.pem"


def certificate_of(settings: Settings, machine: Machine) -> Certificate | None:
    """The certificate that the settings speak of, if any, made where they say so.

    Raises SettingsError, StartError.
    """
    if settings.tls_self_signed:
        try:
            from .authority import Authority
        except ImportError:
            raise SettingsError(
                "--tls-self-signed needs one more package: pip install 'tickwire[tls]'."
            ) from None
        own = Authority(ca_of(settings.data_dir), settings.tls_self_signed, machine)
        return Certificate(own.chain, own.key, machine.disk, own.renew)
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    return Certificate(settings.tls_cert, settings.tls_key, machine.disk)


def context_of(chain: Path, key: Path) -> ssl.SSLContext:
    """TLS 1.2 and 1.3 with that certificate. Raises InputError, which says what is wrong with it."""
    for path, what in ((chain, "the certificate"), (key, "the key of the certificate")):
        read_bytes(path, what, MOST_BYTES)  # which says what is no file
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION  # it costs us more than who asks for it
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(chain, key, password=_refuse)
    except _Encrypted:
        raise InputError(f"{key} is encrypted, and nobody is there to ask: store it without.") from None
    except ssl.SSLError as error:
        raise InputError(f"{chain} and {key} {_what_is_wrong(error)}.") from None
    except OSError as error:
        raise InputError(f"Cannot read {chain} and {key}: {error.strerror}.") from None
    return context


class _Encrypted(Exception):
    """A key needs a password."""


def _refuse() -> str:
    raise _Encrypted


def _what_is_wrong(error: ssl.SSLError) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return "do not belong together: the key is that of another certificate"
    if error.reason in ("", "NO_START_LINE") or "PEM lib" in str(error):
        return "are no certificate and its key in PEM"
    return f"cannot be used: {(error.reason or str(error)).replace('_', ' ').lower()}"

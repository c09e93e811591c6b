"""How a client reaches servers: whose certificates it trusts, and by which proxy it goes; over HTTP as over
WebSocket, for all that is built on the client."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import ssl
import sys
from collections.abc import Iterator
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from .address import SECURE, parts_of, shown_url
from .shown import plain

PROXIES = {"http", "https"}
"""Kinds of proxies that can be gone by."""
NOT_TLS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"}
"""What OpenSSL says where another protocol answers."""
SYSTEMS_ERROR = re.compile(r"\[Errno (-?\d+)\]")
"""How asyncio names the causes where it tried several addresses."""


class Network(NamedTuple):
    """Which certificates are trusted, and by which proxy servers are reached.

    `ca_file` is a PEM file with the CAs that alone are trusted, else TICKWIRE_CA_FILE names it; without one
    the system's are, or those of SSL_CERT_FILE and SSL_CERT_DIR. `proxy` is the URL of a proxy, "" for none;
    without it HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY say so. A server on this machine is reached
    without the environment's.
    """

    ca_file: str | os.PathLike[str] | None = None
    proxy: str | None = None

    def check(self) -> None:
        """Raises ValueError for a file without certificates, and for what is no URL of a proxy."""
        if (own := self._own()) is not None:
            _context(own, None)
        if self.proxy:
            _checked(self.proxy)

    def context_for(self, url: str) -> ssl.SSLContext | None:
        """What TLS needs to reach that URL; None where it is plain. Raises ValueError, see `check`."""
        if urlsplit(url).scheme not in SECURE:
            return None
        return self.context()

    def context(self) -> ssl.SSLContext:
        """The trust. It is read once for all connections."""
        if (own := self._own()) is not None:
            return _context(own, None)
        return _context(None, (os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")))

    def _own(self) -> str | None:
        return str(self.ca_file) if self.ca_file is not None else os.environ.get("TICKWIRE_CA_FILE") or None

    def proxy_for(self, url: str) -> str | None:
        """The proxy by which that URL is reached. Raises ValueError for one that cannot be gone by."""
        if self.proxy is not None:
            return _checked(self.proxy) if self.proxy else None
        from urllib.request import getproxies, proxy_bypass  # which takes its time

        parts = urlsplit(url)
        host = parts.hostname or ""
        if is_local(host) or proxy_bypass(host if parts.port is None else f"{host}:{parts.port}"):
            return None
        found = getproxies()
        proxy = found.get("https" if parts.scheme in SECURE else "http") or found.get("all")
        return _checked(proxy) if proxy else None


def why(error: BaseException, url: str, proxy: str | None) -> tuple[str, bool]:
    """Why that URL was not reached, from what the libraries raised, and whether that is the certificate."""
    parts = urlsplit(url)
    server = _place(url)
    for one in _chain(error):
        if isinstance(one, ssl.SSLCertVerificationError):
            text = plain(one.verify_message.rstrip(".") or "it is not valid")
            return f"the certificate of {server} is refused: {text}{_missing_file()}", True
        if isinstance(one, ssl.SSLError):
            if one.reason in NOT_TLS:
                others = "http://" if parts.scheme == "https" else "ws://"
                return f"{server} speaks no TLS (is it {others}?)", False
            words = (one.reason or str(one)).replace("_", " ").lower()
            return f"TLS with {server} failed: {plain(words)}", False
        if isinstance(one, socket.gaierror):
            return f"{_place(proxy or url)} has no address: {plain(one.strerror or str(one))}", False
    through = f"the proxy {_place(proxy)}: " if proxy else ""
    for one in _chain(error):
        found = _errno(one)
        if found is not None:
            reached = f"the proxy {_place(proxy)}" if proxy else server
            return f"{reached}: {os.strerror(found).lower()}", False
    return through + (plain(str(error)).rstrip(".") or type(error).__name__), False


def is_local(host: str) -> bool:
    """Whether that is a name or address of this machine."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


@cache
def _context(ca_file: str | None, environment: object) -> ssl.SSLContext:
    """A context that trusts that file, or what the system does; `environment` is what it depends on besides.
    Raises ValueError."""
    if ca_file is not None:
        try:
            if not Path(ca_file).is_file():
                raise ValueError(f"{ca_file} is no file")
            return ssl.create_default_context(cafile=ca_file)
        except ssl.SSLError:
            raise ValueError(f"{ca_file} holds no certificate in PEM") from None
        except OSError as error:
            raise ValueError(f"{ca_file} cannot be read: {error.strerror}") from None
    context = ssl.create_default_context()
    paths = ssl.get_default_verify_paths()
    given = any(os.environ.get(name) for name in (paths.openssl_cafile_env, paths.openssl_capath_env))
    if not given and not (paths.cafile or paths.capath) and sys.platform != "win32":
        import certifi  # this Python was built for another system, or the system has none

        context.load_verify_locations(certifi.where())
    return context


def _checked(proxy: str) -> str:
    url = proxy if "://" in proxy else f"http://{proxy}"
    parts = parts_of(url)
    if parts is None or parts.scheme not in PROXIES:
        raise ValueError(
            f"the proxy {shown_url(url)!r} cannot be used: it must be http://HOST:PORT or https://HOST:PORT"
        )
    return url


def _place(url: str | None) -> str:
    """Host and port in a URL, and nothing secret."""
    parts = urlsplit(url or "")
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme in SECURE else 80)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what lies below it."""
    below: BaseException | None = error
    seen = set()
    while below is not None and id(below) not in seen:
        seen.add(id(below))
        yield below
        below = below.__cause__ or below.__context__


def _errno(error: BaseException) -> int | None:
    """The system's number of an error, also of the first of several."""
    if isinstance(error, BaseExceptionGroup):
        return next((found for one in error.exceptions if (found := _errno(one)) is not None), None)
    if isinstance(error, OSError) and error.errno:
        return error.errno if error.errno > 0 else None
    named = SYSTEMS_ERROR.search(str(error)) if isinstance(error, OSError) else None
    return int(named[1]) if named is not None and int(named[1]) > 0 else None


def _missing_file() -> str:
    """A remark on a variable that names nothing, which OpenSSL does not say."""
    with contextlib.suppress(OSError):
        path = os.environ.get("SSL_CERT_FILE")
        if path and not Path(path).is_file():
            return f" (SSL_CERT_FILE names {path}, which is not there)"
    return ""

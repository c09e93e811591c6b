"""What a server says of itself: when it starts, and at `/`."""

from __future__ import annotations

import shlex
import sys
from ipaddress import ip_address

from ..bus import Figures
from ..config import Settings
from ..model import Family
from ..wire import WS_PATHS
from .certificate import ca_of

VENDOR = "wss://quote.alltick.co"
CLIENT = """\
import json, contextlib, websockets.sync.client as c; \
w = contextlib.ExitStack().enter_context(c.connect('{url}')); \
w.send(json.dumps(dict(cmd_id=22004, data=dict(symbol_list=[dict(code='{code}')])))); \
[print(m) for m in w]"""


CHANGE = """\
In a program written for AllTick change the host, nothing else:
  from  {vendor}{path}?token=TOKEN
  to    {sockets}{path}?token=TOKEN"""
AS_IT_IS = "A program written for AllTick runs as it is, where the name of its host leads here."
TRUST = """\

Clients must trust the CA of this server, which may certify {names} only:
  {ca}

  Python   export SSL_CERT_FILE={path} REQUESTS_CA_BUNDLE={path} WEBSOCKET_CLIENT_CA_BUNDLE={path}
  Node     export NODE_EXTRA_CA_CERTS={path}
  Go       export SSL_CERT_FILE={path}
  curl     export CURL_CA_BUNDLE={path}
  Java     keytool -importcert -noprompt -alias tickwire -file {path} \\
             -keystore tickwire.p12 -storepass tickwire
           export JAVA_TOOL_OPTIONS="-Djavax.net.ssl.trustStore=$PWD/tickwire.p12 \\
             -Djavax.net.ssl.trustStorePassword=tickwire"
"""


def trust(settings: Settings) -> str:
    """How clients come to trust a certificate that the server made; empty if it did not."""
    if not settings.tls_self_signed:
        return ""
    ca, names = ca_of(settings.data_dir), settings.tls_self_signed
    text = TRUST.format(names=", ".join(names), ca=ca, path=shlex.quote(str(ca)))
    if away := " ".join(name for name in names if is_away(name)):
        address = "ADDRESS" if settings.host in ("", "0.0.0.0", "::") else settings.host  # noqa: S104
        text += (
            f"\nThey must also find it under its name, if need be by their hosts file:\n  {address} {away}\n"
        )
    return text


def is_away(name: str) -> bool:
    """Whether that is a host that must be found, and no address."""
    try:
        return not ip_address(name)
    except ValueError:
        return name != "localhost" and "*" not in name


def welcome(figures: Figures, url: str, *, guarded: bool) -> str:
    """A few lines for a person, below the server's URL."""
    token = "one that `tickwire token create` printed" if guarded else "any text that is not empty"
    sockets, example = url.replace("http", "ws", 1), figures.example
    codes = f"{figures.codes} codes" if figures.codes else "what clients ask for"
    stock, other = (next(path for path, of in WS_PATHS.items() if of is family) for family in Family)
    path = stock if example.family is Family.STOCK else other
    shown = "TOKEN" if guarded else "test"
    client = CLIENT.format(url=f"{sockets}{path}?token={shown}", code=example.code)
    change = CHANGE.format(vendor=VENDOR, sockets=sockets, path=path) if sockets != VENDOR else AS_IT_IS
    return f"""\
Tickwire serves {figures.name}{" (simulated data)" if figures.simulated else ""}: {codes}.

  stocks      {sockets}{stock}   {url}/quote-stock-b-api
  all others  {sockets}{other}         {url}/quote-b-api
  token       {token}
  terminal    {url}/
  documents   {url}/docs
  probes      {url}/healthz   {url}/readyz

{change}

A client to paste:
  {shlex.quote(sys.executable)} -c "{client}"
"""

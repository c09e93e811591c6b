"""What the metrics tell of the client side: connections, requests, what is sent, tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

from prometheus_client import Metric

from ..gateway.gateway import Gateway
from ..model import Family, Kind
from ..wire.overview import TokenUse
from .families import counter, gauge, histogram
from .guests import Guests
from .traffic import Traffic
from .unread import LIMITS, Unread
from .usage import Use


def traffic_families(traffic: Traffic) -> Iterator[Metric]:
    """How connections begin and end, and requests over HTTP."""
    handshakes = [(*labels, count) for labels, count in traffic.handshakes.items()]
    yield counter("handshakes", "What became of connections as they began.", "step result", handshakes)
    closes = [(*labels, count) for labels, count in traffic.closes.items()]
    text = "WebSockets that ended, by the code of their close and why."
    yield counter("websocket_closes", text, "code reason", closes)
    requests = [(route, str(status), count) for (route, status), count in traffic.requests.items()]
    yield counter("http_requests", "Requests over HTTP that were answered.", "route status", requests)
    text = "From when a request over HTTP was read to its answer."
    yield histogram("http_request_duration_seconds", text, "route", traffic.durations.items())


def connection_families(guests: Guests) -> Iterator[Metric]:
    """What bounds the number of connections."""
    acceptance = guests.acceptance
    yield gauge("sockets", "Sockets of clients, those of HTTP too.", "", [(len(guests.connections),)])
    text = "Sockets that there are file descriptors for."
    yield gauge("sockets_limit", text, "", [(acceptance.most,)])
    text = "1 while connections are taken, 0 while newcomers wait because there are too many."
    yield gauge("accepting", text, "", [(acceptance.open,)])
    text = "Times that no more connections were taken."
    yield counter("accept_pauses", text, "", [(acceptance.paused.count,)])
    text = "Handshakes of TLS, and heads of requests, that have begun and not ended."
    yield gauge("handshakes_under_way", text, "", [(guests.handshakes,)])
    text = "Those that were dropped because too many were under way."
    yield counter("handshakes_dropped", text, "", [(guests.crowded.count,)])
    text = "Connections refused because their address has too many."
    yield counter("address_refused_connections", text, "", [(guests.addresses.refused.count,)])


def slow_families(gateway: Gateway, unread: Unread) -> Iterator[Metric]:
    """Those who do not keep up."""
    outboxes, held = gateway.hub.outboxes, unread.held()
    yield gauge("outboxes", "Clients that have not read all that they were sent.", "", [(len(held),)])
    yield gauge("outbox_bytes", "Bytes that wait for them.", "", [(sum(held),)])
    yield gauge("outbox_bytes_limit", "Bytes that may wait for all of them.", "", [(unread.together,)])
    kinds = [kind for kind in Kind if kind is not Kind.CORRECTION]
    text = "Events that were left out for clients that could not keep up."
    dropped = [(kind.name.lower(), outboxes.dropped[kind]) for kind in kinds]
    yield counter("dropped_events", text, "kind", dropped)
    text = "Events in whose place such clients got a newer one, or several as one."
    conflated = [(kind.name.lower(), outboxes.conflated[kind]) for kind in kinds]
    yield counter("conflated_events", text, "kind", conflated)
    text = "Clients that were closed since they read too slowly, by the setting that says so."
    closed = [(name, unread.closed[name]) for name in LIMITS]
    yield counter("slow_clients_closed", text, "reason", closed)


def push_families(gateway: Gateway, traffic: Traffic, uses: Collection[Use]) -> Iterator[Metric]:
    """Who is connected, what is pushed, and how long that takes."""
    families = Counter(caller.client.family for caller in gateway.callers.values())
    open_ones = [(family, families[family]) for family in Family]
    yield gauge("connections", "Open WebSockets.", "family", open_ones)
    text = "Codes whose trades (or bars) or books somebody is subscribed to."
    codes = [(kind.name.lower(), len(codes)) for kind, codes in gateway.hub.wanted().items()]
    yield gauge("subscribed_codes", text, "kind", codes)
    yield counter(
        "pushes", "Events pushed, each once for each client.", "", [(sum(one.pushes for one in uses),)]
    )
    sent = [("push", gateway.hub.sent_bytes), ("answer", traffic.answered_bytes)]
    yield counter("websocket_sent_bytes", "Bytes that were written to WebSockets.", "kind", sent)
    text = "From an event to the end of the flush that sends it; of each flush the one that waited longest."
    yield histogram("push_latency_seconds", text, "", [(gateway.hub.latency,)])
    text = "Clients that were cut and have not been given all yet that they missed."
    yield gauge("resuming_clients", text, "", [(gateway.resuming.clients,)])
    text = "Streams that clients resumed with a hole: what they missed was not there any more."
    yield counter("resume_gaps", text, "", [(gateway.resuming.gaps,)])
    yield gauge("replays", "Replays that clients have under way.", "", [(gateway.replaying.clients,)])
    turned_away = "Unknown codes that upstream was not asked about: too many."
    yield counter("unknown_codes_turned_away", turned_away, "", [(gateway.seeking.turned_away,)])


def token_counters(uses: Collection[Use]) -> Iterator[Metric]:
    """What tokens have used in this process, by name."""
    text = "Requests over HTTP that passed the token's plan."
    yield counter("token_requests", text, "token", [(one.token, one.requests) for one in uses])
    text = "Requests over HTTP that came too fast."
    yield counter("token_refused_requests", text, "token", [(one.token, one.refused) for one in uses])
    yield counter("token_pushes", "Events pushed.", "token", [(one.token, one.pushes) for one in uses])


def token_gauges(uses: Collection[TokenUse]) -> Iterator[Metric]:
    """What tokens use now, in all processes, by name."""
    text = "Open WebSockets of the token."
    yield gauge("token_connections", text, "token", [(one.token, one.connections) for one in uses])
    yield gauge("token_codes", "Codes subscribed to.", "token", [(one.token, one.codes) for one in uses])
    text = "Those of them that have no place upstream."
    yield gauge("token_codes_without_place", text, "token", [(one.token, one.without) for one in uses])

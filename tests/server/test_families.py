"""Families of metrics of several processes, as one."""

from __future__ import annotations

import msgspec
from prometheus_client import generate_latest, parser
from prometheus_client.registry import Collector

from tickwire.model import Histogram
from tickwire.server.families import Family, counter, gauge, histogram, joined, passed
from tickwire.server.metrics import Scrape


def test_each_family_is_there_once_and_each_sample_says_of_which_process_it_is() -> None:
    measured = Histogram((0.1, 1.0))
    measured.add(0.5)
    told = [
        gauge("up", "Up.", "", [(True,)]),
        counter("seen", "Seen.", "what", [('a\n"b', 2)]),
        histogram("took", "Took.", "", [(measured,)]),
    ]
    read = msgspec.msgpack.Decoder(list[Family]).decode
    families = read(msgspec.msgpack.encode([passed(one) for one in told]))
    scrape: Collector = Scrape(joined([*(("one", one) for one in families), ("two", families[1])]))
    text = generate_latest(scrape).decode()
    found = {one.name: one for one in parser.text_string_to_metric_families(text)}
    assert {name: one.type for name, one in found.items()} == {
        "tickwire_up": "gauge",
        "tickwire_seen": "counter",
        "tickwire_took": "histogram",
    }
    assert [(one.labels, one.value) for one in found["tickwire_seen"].samples] == [
        ({"what": 'a\n"b', "worker": "one"}, 2),
        ({"what": 'a\n"b', "worker": "two"}, 2),
    ]
    assert [(one.name, one.labels, one.value) for one in found["tickwire_took"].samples] == [
        ("tickwire_took_bucket", {"le": "0.1", "worker": "one"}, 0),
        ("tickwire_took_bucket", {"le": "1.0", "worker": "one"}, 1),
        ("tickwire_took_bucket", {"le": "+Inf", "worker": "one"}, 1),
        ("tickwire_took_count", {"worker": "one"}, 1),
        ("tickwire_took_sum", {"worker": "one"}, 0.5),
    ]

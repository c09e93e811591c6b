"""Families of metrics, as Prometheus has them: names in base units, counters as `_total`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from ..model import Histogram


def gauge(name: str, text: str, labels: str, rows: Iterable[tuple[Any, ...]]) -> Metric:
    """Each row holds the values of the labels, and what is told, None for nothing."""
    return _filled(GaugeMetricFamily(f"tickwire_{name}", text, labels=labels.split()), rows)


def counter(name: str, text: str, labels: str, rows: Iterable[tuple[Any, ...]]) -> Metric:
    """Rows as in `gauge`."""
    return _filled(CounterMetricFamily(f"tickwire_{name}", text, labels=labels.split()), rows)


def histogram(
    name: str, text: str, labels: str, rows: Iterable[tuple[*tuple[str, ...], Histogram]]
) -> Metric:
    """Each row holds the values of the labels, and what was measured."""
    metric = HistogramMetricFamily(f"tickwire_{name}", text, labels=labels.split())
    for *values, measured in rows:
        metric.add_metric(values, measured.buckets, measured.total)
    return metric


class Family(msgspec.Struct, frozen=True, array_like=True):
    """A family of metrics as it passes between processes: each sample has a name, labels and a value."""

    name: str
    text: str
    kind: str
    samples: list[tuple[str, dict[str, str], float]]


def passed(metric: Metric) -> Family:
    """A family as it passes."""
    samples = [(one.name, one.labels, float(one.value)) for one in metric.samples]
    return Family(metric.name, metric.documentation, metric.type, samples)


def joined(families: Iterable[tuple[str, Family]]) -> Iterable[Metric]:
    """The families of several processes as one of each name, its samples labelled with the `worker` that
    they are of."""
    found: dict[str, Metric] = {}
    for worker, family in families:
        metric = found.get(family.name)
        if metric is None:
            metric = found[family.name] = Metric(family.name, family.text, family.kind)
        for name, labels, value in family.samples:
            metric.add_sample(name, {"worker": worker, **labels}, value)
    return found.values()


def _filled(metric: GaugeMetricFamily | CounterMetricFamily, rows: Iterable[tuple[Any, ...]]) -> Metric:
    for *labels, value in rows:
        if value is not None:
            metric.add_metric(labels, value)
    return metric

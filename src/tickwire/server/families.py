"""Families of metrics, as Prometheus has them: names in base units, counters as `_total`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

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


def _filled(metric: GaugeMetricFamily | CounterMetricFamily, rows: Iterable[tuple[Any, ...]]) -> Metric:
    for *labels, value in rows:
        if value is not None:
            metric.add_metric(labels, value)
    return metric

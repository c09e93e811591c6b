"""Shared by the tests of this room."""

from __future__ import annotations

from ..kline_pushes import calm, lively, market  # noqa: F401 (fixtures)

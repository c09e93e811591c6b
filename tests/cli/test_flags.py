"""Flags are made of settings."""

from __future__ import annotations

from tickwire.config import Settings

from .test_serve import tickwire


def test_help_names_every_setting() -> None:
    text = tickwire("serve", "--help").stdout
    for name in Settings.model_fields:
        assert f"--{name.replace('_', '-')}" in text

"""What a server inside another program logs."""

from __future__ import annotations

import pytest
import structlog

from tickwire.testing import AllTickServer


def test_it_logs_from_its_level_on_and_leaves_other_logs_alone(capsys: pytest.CaptureFixture[str]) -> None:
    before = structlog.get_config()["processors"].copy()
    own = structlog.get_logger()
    with AllTickServer(quiet=True) as server, server.halt("GOLD"):
        own.info("mine")
    said = capsys.readouterr()
    assert "mine" in said.out
    assert len((said.out + said.err).splitlines()) == 1
    with AllTickServer(log_level="info"):
        pass
    assert "source started" in capsys.readouterr().out
    assert structlog.get_config()["processors"] == before


def test_a_log_that_is_configured_meanwhile_stays(capsys: pytest.CaptureFixture[str]) -> None:
    with AllTickServer() as server:
        with structlog.testing.capture_logs() as logs, server.halt("GOLD"):
            pass
        assert "scenario started" in {line["event"] for line in logs}
    assert capsys.readouterr().out == ""

"""When a connection counts as silent."""

from __future__ import annotations

from tickwire.sources.relay.silence import MOST, Silence


def test_an_open_market_that_says_nothing_is_silent_and_patience_doubles() -> None:
    silence = Silence(60.0, 0.0)
    found = [now for now in range(5000) if silence.look(0.0, float(now), is_open=True)]
    assert found == [60, 180, 420, 900, 1500, 2100, 2700, 3300, 3900, 4500]
    assert silence.stale
    assert silence.patience == MOST


def test_data_makes_it_patient_as_before() -> None:
    silence = Silence(60.0, 0.0)
    assert silence.look(0.0, 60.0, is_open=True)
    assert not silence.look(70.0, 100.0, is_open=True)
    assert not silence.stale
    assert not silence.look(70.0, 129.0, is_open=True)
    assert silence.look(70.0, 130.0, is_open=True)


def test_a_closed_market_may_be_silent_and_begins_fresh_when_it_opens() -> None:
    silence = Silence(60.0, 0.0)
    assert silence.look(0.0, 60.0, is_open=True)
    assert not silence.look(0.0, 50_000.0, is_open=False)
    assert not silence.stale
    assert not silence.look(0.0, 50_059.0, is_open=True)
    assert silence.look(0.0, 50_060.0, is_open=True)


def test_a_new_connection_has_its_time() -> None:
    silence = Silence(60.0, 0.0)
    silence.connected(1000.0)
    assert not silence.look(0.0, 1059.0, is_open=True)
    assert silence.look(0.0, 1060.0, is_open=True)


def test_zero_waits_for_ever() -> None:
    assert not Silence(0.0, 0.0).look(0.0, 1e9, is_open=True)

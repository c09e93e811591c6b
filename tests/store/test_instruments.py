"""Defined instruments at rest: in real databases."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from tickwire.errors import StartError, StoreError
from tickwire.model import Instrument, Market
from tickwire.store import InstrumentStore, SqliteFile, load_catalogue

from ..stores import Place, change_in, opened

FULL = Instrument(
    code="MY.IDX",
    market=Market.CFD_INDEX,
    price_decimals=12,
    volume_decimals=0,
    turnover_decimals=3,
    levels=1000,
    volume_unit=100,
    reference_price=Decimal("0.123456789012"),
    name_en='a "desk\'s" index',
    name_cn="指数",
    calendar="XNYS",
    dividend_yield="-",
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tickwire.db"


def test_what_is_put_is_there_after_a_restart(place: Place) -> None:
    plain = msgspec.structs.replace(FULL, code="A", name_cn="")
    with opened(InstrumentStore, place) as store:
        assert store.instruments() == []
        store.put(FULL)
        store.put(plain)
    with opened(InstrumentStore, place) as store:
        assert store.instruments() == [plain, FULL]


def test_every_shipped_instrument_comes_back_as_it_was(place: Place) -> None:
    shipped = sorted(load_catalogue(), key=lambda one: one.code)[:50]
    with opened(InstrumentStore, place) as store:
        for one in shipped:
            store.put(one)
        assert store.instruments() == shipped


def test_the_last_definition_of_a_code_stays(place: Place) -> None:
    other = msgspec.structs.replace(FULL, price_decimals=2)
    with opened(InstrumentStore, place) as store:
        store.put(FULL)
        store.put(other)
        assert store.instruments() == [other]


def test_a_catalogue_learns_what_it_does_not_know(place: Place) -> None:
    catalogue = load_catalogue()
    with opened(InstrumentStore, place) as store:
        store.put(FULL)
        store.put(msgspec.structs.replace(FULL, code="GOLD"))
        store.teach(catalogue)
    assert catalogue["MY.IDX"] == FULL
    assert catalogue["GOLD"] == load_catalogue()["GOLD"]


@pytest.mark.parametrize(
    "change",
    ["definition = '{}', checksum = -1", "definition = replace(definition, '12', '11')", "code = 'MY.IDY'"],
)
def test_a_definition_that_was_altered_is_left_out_and_told_once(place: Place, change: str) -> None:
    other = msgspec.structs.replace(FULL, code="A")
    with opened(InstrumentStore, place) as store:
        store.put(FULL)
        store.put(other)
        change_in(place, f"UPDATE instrument SET {change} WHERE code = 'MY.IDX'")  # noqa: S608
        with capture_logs() as logs:
            assert store.instruments() == store.instruments() == [other]
        assert [line["event"] for line in logs] == ["a stored instrument is damaged and left out"]
        assert "MY.ID" in logs[0]["code"]
        store.put(FULL)
        assert FULL in store.instruments()


def test_a_store_that_was_closed_says_so(place: Place) -> None:
    with opened(InstrumentStore, place) as store:
        pass
    with pytest.raises(StoreError):
        store.put(FULL)
    with pytest.raises(StoreError):
        store.instruments()


def test_a_file_that_is_no_database(path: Path) -> None:
    path.write_bytes(b"x" * 5000)
    with pytest.raises(StartError):
        SqliteFile(path)


def test_what_was_learned_and_what_was_defined_stand_apart(place: Place) -> None:
    here, there = (msgspec.structs.replace(FULL, learned=name) for name in ("alltick", "alltick:up:8600"))
    wider = msgspec.structs.replace(here, levels=3)
    with opened(InstrumentStore, place) as store:
        for one in (here, FULL, there, wider):
            store.put(one)
        assert store.learned("alltick") == [wider]
        assert store.learned("alltick:up:8600") == [there]
        assert store.learned() == [wider, there]
        catalogue = load_catalogue()
        store.teach(catalogue)
        assert catalogue["MY.IDX"] == FULL

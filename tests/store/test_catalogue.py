"""The user's own instruments: what a file may say, and how a bad one is told."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickwire.errors import InputError
from tickwire.model import Catalogue, Instrument, Market
from tickwire.store import load_catalogue

SHIPPED = load_catalogue()
DEMO = '[[instrument]]\ncode = "DEMO"\nmarket = "crypto"\nprice_decimals = 3\nvolume_decimals = 4\n'
HEADER = "code,market,price_decimals,volume_decimals"


def load(folder: Path, name: str, content: str | bytes) -> Catalogue:
    """The catalogue with a file of that content."""
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return load_catalogue([path])


def changed(one: Instrument, **fields: object) -> Instrument:
    return msgspec.structs.replace(one, **fields)


# What a file does.
@pytest.mark.parametrize(("name", "content"), [("a.toml", DEMO), ("a.csv", f"{HEADER}\nDEMO,crypto,3,4\n")])
def test_an_instrument_is_added_with_the_rules_of_its_market(tmp_path: Path, name: str, content: str) -> None:
    catalogue = load(tmp_path, name, content)
    assert len(catalogue) == len(SHIPPED) + 1
    assert catalogue["DEMO"] == Instrument(
        code="DEMO", market=Market.CRYPTO, price_decimals=3, volume_decimals=4, turnover_decimals=3, levels=5
    )


@pytest.mark.parametrize(
    ("market", "levels", "unit"),
    [("us_stock", 1, 1), ("hk_stock", 10, 1), ("cn_stock", 5, 100), ("index", 0, 1)],
)
def test_a_stock_needs_no_more_than_code_and_market(
    tmp_path: Path, market: str, levels: int, unit: int
) -> None:
    one = load(tmp_path, "a.csv", f"code,market\nZZZ,{market}\n")["ZZZ"]
    assert (one.price_decimals, one.volume_decimals, one.turnover_decimals) == (6, 0, 6)
    assert (one.levels, one.volume_unit) == (levels, unit)


def test_a_chinese_index_is_counted_in_lots(tmp_path: Path) -> None:
    catalogue = load(tmp_path, "a.csv", "code,market,currency\nZZZ,index,CNY\nYYY,index,USD\n")
    assert (catalogue["ZZZ"].volume_unit, catalogue["YYY"].volume_unit) == (100, 1)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.toml", '[[instrument]]\ncode = "GOLD"\nprice_decimals = 5\n'),
        ("a.csv", "code,price_decimals\nGOLD,5\n"),
        ("a.csv", "code,market,price_decimals,name_en\nGOLD,metals,5,\n"),
    ],
)
def test_what_a_replacement_leaves_out_stays_as_it_was(tmp_path: Path, name: str, content: str) -> None:
    catalogue = load(tmp_path, name, content)
    assert len(catalogue) == len(SHIPPED)
    assert catalogue["GOLD"] == changed(SHIPPED["GOLD"], price_decimals=5)
    assert catalogue["Silver"] == SHIPPED["Silver"]


def test_a_replacement_on_another_market_begins_anew(tmp_path: Path) -> None:
    one = load(tmp_path, "a.csv", "code,market\nGOLD,us_stock\n")["GOLD"]
    assert one == Instrument(
        code="GOLD",
        market=Market.US_STOCK,
        price_decimals=6,
        volume_decimals=0,
        turnover_decimals=6,
        levels=1,
    )


def test_later_files_and_entries_go_before_earlier_ones(tmp_path: Path) -> None:
    first, second = tmp_path / "1.toml", tmp_path / "2.csv"
    first.write_text(DEMO + DEMO.replace("= 3", "= 4"))
    assert load_catalogue([first])["DEMO"].price_decimals == 4
    second.write_text("code,levels\nDEMO,7\n")
    one = load_catalogue([first, second])["DEMO"]
    assert (one.price_decimals, one.levels) == (4, 7)


@pytest.mark.parametrize("price", ["0.1", "79317.70", "1284.065"])
def test_a_price_in_toml_is_never_a_float(tmp_path: Path, price: str) -> None:
    one = load(tmp_path, "a.toml", f"{DEMO}reference_price = {price}\n")["DEMO"]
    assert one.reference_price == Decimal(price)


def test_an_excel_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    catalogue = load(tmp_path, "A.CSV", f"\ufeff{HEADER},name_cn\r\nDEMO,crypto,3,4,示例\r\n")
    assert catalogue["DEMO"].name_cn == "示例"


# How a bad file ends: one line that names the file, the entry and what is wrong with it.
BAD_TOML = {
    "not toml": ("[[instrument]\n", []),
    "empty": ("", ["instrument"]),
    "another table": (f"{DEMO}[other]\n", ["instrument"]),
    "one table instead of many": ('[instrument]\ncode = "A"\n', ["instrument"]),
    "instruments as text": ('instrument = ["GOLD"]\n', ["instrument"]),
    "instruments as lists": ("instrument = [[1]]\n", ["instrument"]),
    "no code": (f'{DEMO}[[instrument]]\nmarket = "crypto"\n', ["instrument 2", "code is missing"]),
    "empty code": ('[[instrument]]\ncode = ""\nmarket = "crypto"\n', ["instrument 1", "code is missing"]),
    "no market": ('[[instrument]]\ncode = "A"\n', ["instrument 1", "market is missing"]),
    "unknown market": ('[[instrument]]\ncode = "A"\nmarket = "moon"\n', ["instrument 1", "moon", "crypto"]),
    "no decimals": ('[[instrument]]\ncode = "A"\nmarket = "forex"\n', ["instrument 1", "price_decimals"]),
    "unknown calendar": (f'{DEMO}calendar = "xnys"\n', ["instrument 1", "'xnys'", "XNYS"]),
    "unknown field": (f"{DEMO}pric = 1\n", ["instrument 1", "pric"]),
    "too many decimals": (DEMO.replace("= 3", "= 13"), ["instrument 1", "price_decimals"]),
    "text for a number": (DEMO.replace("= 3", '= "three"'), ["instrument 1", "price_decimals"]),
    "part of a level": (f"{DEMO}levels = 2.5\n", ["instrument 1", "levels"]),
    "yes for a number": (f"{DEMO}levels = true\n", ["instrument 1", "levels"]),
    "too many levels": (f"{DEMO}levels = 1001\n", ["instrument 1", "levels"]),
    "price not a number": (f"{DEMO}reference_price = nan\n", ["instrument 1", "reference_price"]),
    "price endless": (f"{DEMO}reference_price = inf\n", ["instrument 1", "reference_price"]),
    "price zero": (f"{DEMO}reference_price = 0\n", ["instrument 1", "reference_price"]),
    "price below zero": (f"{DEMO}reference_price = -1.5\n", ["instrument 1", "reference_price"]),
    "price as words": (f'{DEMO}reference_price = "much"\n', ["instrument 1", "reference_price"]),
    "price beyond all bounds": (f'{DEMO}reference_price = "1e400"\n', ["instrument 1", "reference_price"]),
    "price of nothing": (f'{DEMO}reference_price = "1e-400"\n', ["instrument 1", "reference_price"]),
    "space in a code": (DEMO.replace("DEMO", "DE MO"), ["instrument 1", "code"]),
    "line break in a code": (DEMO.replace("DEMO", "DEMO\\n"), ["instrument 1", "code"]),
    "endless number": (f"{DEMO}levels = {'9' * 5000}\n", []),
    "endless hexadecimal number": (f"{DEMO}levels = 0x{'f' * 5000}\n", []),
    "endless nesting": (f"{DEMO}levels = {'[' * 5000}\n", []),
}
BAD_CSV = {
    "no header": ("DEMO,crypto\nDEMO2,crypto\n", ["line 1", "code is missing"]),
    "no market": (f"{HEADER}\nGOLD,,2,2\nA,,2,2\n", ["line 3", "market is missing"]),
    "unknown market": (f"{HEADER}\nA,moon,2,2\n", ["line 2", "moon"]),
    "no decimals": (f"{HEADER}\nA,crypto,,2\n", ["line 2", "price_decimals"]),
    "too few fields": (f"{HEADER}\nA,crypto,2\n", ["line 2", "fields"]),
    "too many fields": (f"{HEADER}\nA,crypto,2,2,2\n", ["line 2", "fields"]),
    "open quotes": (f'{HEADER}\n"A,crypto,2,2\n', ["line"]),
    "broken quotes": (f'{HEADER}\n"A"b,crypto,2,2\n', ["line"]),
    "unknown column": (f"{HEADER},extra\nA,crypto,2,2,x\n", ["line 2", "extra"]),
    "not a number": (f"{HEADER}\nA,crypto,2,few\n", ["line 2", "volume_decimals"]),
    "endless number": (f"{HEADER}\nA,crypto,2,{'9' * 5000}\n", ["line 2", "volume_decimals"]),
    "endless field": (f"{HEADER}\nA,{'x' * 200_000},2,2\n", ["line"]),
    "endless header": (f"{'x' * 200_000}\nA,crypto,2,2\n", ["line 1"]),
    "unknown calendar": (f"{HEADER},calendar\nA,crypto,2,2,nosuch\n", ["line 2", "'nosuch'", "XNYS"]),
    "space in a code": (f"{HEADER}\nA B,crypto,2,2\n", ["line 2", "code"]),
    "line break in a code": (f'{HEADER}\n"A\n",crypto,2,2\n', ["code"]),
    "another separator": ("code;market\nA;crypto\n", ["line 1", "code is missing"]),
    "no utf-8": (b"code,market\n\xff,crypto\n", ["UTF-8"]),
}
BAD = [
    pytest.param(name, content, words, id=f"{name}: {what}")
    for name, files in (("bad.toml", BAD_TOML), ("bad.csv", BAD_CSV))
    for what, (content, words) in files.items()
]


@pytest.mark.parametrize(("name", "content", "words"), BAD)
def test_a_bad_file_ends_in_one_line_that_says_where(
    tmp_path: Path, name: str, content: str | bytes, words: list[str]
) -> None:
    with pytest.raises(InputError) as caught:
        load(tmp_path, name, content)
    text = str(caught.value)
    assert str(tmp_path / name) in text
    assert "\n" not in text
    assert [word for word in words if word not in text] == []


@pytest.mark.parametrize("name", ["nosuch.toml", "nosuch.csv", "folder.toml", "folder.csv"])
def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.startswith("folder"):
        path.mkdir()
    reason = "Is a directory" if name.startswith("folder") else "No such file"
    with pytest.raises(InputError, match=reason) as caught:
        load_catalogue([path])
    assert str(path) in str(caught.value)


def test_other_kinds_of_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.json: .*\.toml or a \.csv"):
        load(tmp_path, "a.json", "{}")


FIELDS = st.dictionaries(
    st.sampled_from(Instrument.__struct_fields__),
    st.one_of(st.text(max_size=8), st.integers(-5, 2000).map(str), st.sampled_from([*Market, "GOLD", "A"])),
)


@settings(max_examples=60)
@given(row=FIELDS)
def test_any_entry_is_taken_or_refused_in_one_way(
    tmp_path_factory: pytest.TempPathFactory, row: dict[str, str]
) -> None:
    quoted = ['"' + text.replace('"', '""') + '"' for text in row.values()]
    path = tmp_path_factory.mktemp("rows") / "a.csv"
    path.write_text(f"{','.join(row)}\n{','.join(quoted)}\n", encoding="utf-8", newline="")
    try:
        catalogue = load_catalogue([path])
    except InputError as error:
        text = str(error)
    else:
        assert not row or row["code"] in catalogue
        return
    assert text.startswith(str(path))
    assert "\n" not in text

"""Writes src/tickwire/store/listed.csv: codes from lists that packages ship, beside those of catalogue.csv.

They are not needed to run it, so they live in an environment of their own:

    python -m venv build/lists && build/lists/bin/pip install --no-deps adata iso4217 pytickersymbols
    build/lists/bin/python scripts/make_listed.py

A field that no list has, and no rule of the market gives, stays empty.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path
from xml.etree import ElementTree

from pytickersymbols.indices_data import INDICES

STORE = Path(__file__).resolve().parent.parent / "src/tickwire/store"
FIELDS = (
    "code market name_en name_cn price_decimals volume_decimals currency calendar exchange lot_size".split()
)
BOARDS = {("60", "68"): ("SH", "SSE"), ("00", "30"): ("SZ", "SZSE")}
"""The first digits of A-shares; others are those of B-shares and of Beijing."""
STAR = "68"
"""The STAR market, whose orders have no lot but a least size."""
US_INDICES = ("S&P 500", "NASDAQ 100", "DOW JONES", "S&P 100", "S&P 600")
US_EXCHANGES = {"NYSE": "NYSE", "NASDAQ": "NASD"}
AGAINST = ("USD", "EUR")
"""What every currency is paired with."""
STRONGEST = "EUR GBP AUD NZD USD".split()
"""Of two of these the earlier is quoted in the later; any other currency is what one of them is quoted in."""


def shipped(package: str, path: str) -> str:
    """A file of a package, without importing that."""
    return Path(str(distribution(package).locate_file(f"{package}/{path}"))).read_text(encoding="utf-8")


def a_shares() -> Iterator[dict[str, str]]:
    """The shares of Shanghai and Shenzhen that have a date of listing and are not about to be delisted."""
    for row in csv.DictReader(shipped("adata", "stock/cache/code.csv").splitlines()):
        code, name = row["stock_code"], row["short_name"].strip()
        for digits, (suffix, exchange) in BOARDS.items():
            if code.startswith(digits) and row["list_date2"] and "退" not in name:
                yield {
                    "code": f"{code}.{suffix}",
                    "market": "cn_stock",
                    "name_cn": name,
                    "currency": "CNY",
                    "calendar": "XSHG",
                    "exchange": exchange,
                    "lot_size": "" if code.startswith(STAR) else "100",
                }


def us_shares() -> Iterator[dict[str, str]]:
    """The members of US indices."""
    for name in US_INDICES:
        for company in INDICES[name]["companies"]:
            symbol = company["symbol"]
            places = [
                one["google"].partition(":") for one in company.get("symbols", ()) if one["currency"] == "USD"
            ]
            exchange = next(
                (US_EXCHANGES[at] for at, _, of in places if at in US_EXCHANGES and of == symbol), ""
            )
            yield {
                "code": f"{symbol}.US",
                "market": "us_stock",
                "name_en": company["name"],
                "currency": "USD",
                "calendar": "XNYS",
                "exchange": exchange,
                "lot_size": "1",
            }


def currencies() -> Iterator[dict[str, str]]:
    """Every currency of ISO 4217 with a country against the dollar and the euro: five decimals as is usual,
    three in those without minor units."""
    table = ElementTree.fromstring(shipped("iso4217", "table.xml"))  # noqa: S314
    minor: dict[str, int] = {}
    for entry in table.iter("CcyNtry"):
        code, units = entry.findtext("Ccy"), entry.findtext("CcyMnrUnts", "")
        name = entry.find("CcyNm")
        is_fund = name is not None and name.get("IsFund") == "true"
        if code and units in ("0", "2", "3") and not is_fund:  # others are units of account
            minor[code] = int(units)
    for one, other in itertools.product(AGAINST, sorted(minor)):
        if one != other:
            base, quote = sorted((one, other), key=[*STRONGEST, other].index)
            yield {
                "code": base + quote,
                "market": "forex",
                "name_en": f"{base}/{quote}",
                "price_decimals": "5" if minor[quote] else "3",
                "volume_decimals": "2",
                "currency": quote,
                "calendar": "forex",
            }


def main() -> None:
    """Writes the table, without what catalogue.csv has."""
    with (STORE / "catalogue.csv").open(encoding="utf-8", newline="") as file:
        seen = {row["code"] for row in csv.DictReader(file)}
    with (STORE / "listed.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, FIELDS, lineterminator="\n")
        table.writeheader()
        for row in itertools.chain(a_shares(), us_shares(), currencies()):
            if row["code"] not in seen:
                seen.add(row["code"])
                table.writerow(row)


if __name__ == "__main__":
    main()

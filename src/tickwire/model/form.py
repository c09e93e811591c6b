"""What the form of a code says of it, for where no catalogue has it."""

from __future__ import annotations

import re

from .instrument import Family, Market

SUFFIXES = {
    ".US": Market.US_STOCK,
    ".HK": Market.HK_STOCK,
    ".SH": Market.CN_STOCK,
    ".SZ": Market.CN_STOCK,
}
"""The ends of the codes of stocks and of their indices, and the market of the stocks."""
METALS = frozenset(("XAU", "XAG", "XPT", "XPD"))
"""What pairs begin with that are traded in the hours of metals."""
_STOCK = re.compile(r"(?=.{4,32}\Z)\.?[A-Za-z0-9][A-Za-z0-9._-]*\.(?:US|HK|SH|SZ)\Z")
_OTHER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{1,31}\Z")
_INDEX = re.compile(r"\..*|000.*\.SH|399.*\.SZ|[^0-9]*\.HK")
_PAIR = re.compile(r"([A-Z]{3})([A-Z]{3})\Z")
_CRYPTO = re.compile(r"[A-Z0-9]+(?:USDT|USDC|FDUSD|BUSD|USD|BTC|ETH)\Z")
_CURRENCIES = frozenset(  # ISO 4217, and offshore renminbi
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD "
    "CDF CHF CLF CLP CNH CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD "
    "GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK "
    "LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR "
    "PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP "
    "SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAD XAF XCD XCG XOF XPF "
    "YER ZAR ZMW ZWG".split()
)


def family_of(code: str) -> Family:
    """The family that a code belongs to by its form: stocks and their indices end in the sign of their
    market, or begin with a dot; all else is of the other one. Where that is wrong, say `family=`.

    >>> family_of("AAPL.US").value, family_of(".DJI").value, family_of("BTCUSDT").value
    ('stock', 'stock', 'other')
    """
    return Family.STOCK if code.startswith(".") or code.endswith(tuple(SUFFIXES)) else Family.OTHER


def looks_like(family: Family, code: str) -> bool:
    """Whether a code could be one of that family: stocks have the suffix of a market, all else has no dot.

    >>> [looks_like(Family.STOCK, code) for code in ("510050.SH", ".DJI.US", "USDMXN", "510050.XX")]
    [True, True, False, False]
    """
    return (_STOCK if family is Family.STOCK else _OTHER).match(code) is not None


def market_of(code: str) -> Market:
    """The market that a code is probably of.

    Shanghai numbers its indices 000…, Shenzhen 399…; what is a number in Hong Kong is a stock.

    >>> [market_of(code).value for code in ("510050.SH", "000905.SH", "USDMXN", "XMRUSDT", "NAS100")]
    ['cn_stock', 'index', 'forex', 'crypto', 'cfd_index']
    """
    if (stocks := SUFFIXES.get(code[-3:])) is not None:
        return Market.INDEX if _INDEX.fullmatch(code) else stocks
    if (pair := _PAIR.match(code)) is not None:
        base, quote = pair.groups()
        if base in _CURRENCIES | METALS and quote in _CURRENCIES:
            return Market.FOREX
    return Market.CRYPTO if _CRYPTO.match(code) else Market.CFD_INDEX

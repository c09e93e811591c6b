"""What examples of both documents hold."""

from __future__ import annotations

from typing import Any

Example = dict[str, Any]

TRADE: Example = {
    "code": "BTCUSDT",
    "seq": 1795364866865661,
    "tick_time": 1795364866821,
    "price": "79317.70",
    "volume": "0.50000",
    "turnover": "39658.85",
    "trade_direction": 1,
}
BOOK: Example = {
    "code": "BTCUSDT",
    "seq": 1795364866865661,
    "tick_time": 1795364866821,
    "bids": [{"price": "79317.60", "volume": "1.20000"}, {"price": "79317.50", "volume": "3.00000"}],
    "asks": [{"price": "79317.80", "volume": "0.70000"}, {"price": "79317.90", "volume": "0.04210"}],
}
BAR: Example = {
    "timestamp": "1795364820",
    "open_price": "79317.70",
    "close_price": "79359.80",
    "high_price": "79415.02",
    "low_price": "79298.47",
    "volume": "4.42981",
    "turnover": "351495.45",
}
KLINE: Example = {
    "code": "BTCUSDT",
    "kline_type": 1,
    "seq": 1795364866865661,
    "state": "closed",
    "incomplete": 0,
    **BAR,
}
STATUS: Example = {
    "source": "alltick",
    "status": "down",
    "since": 1795364866865,
    "reason": "connection lost",
    "simulated": 0,
}
STATIC: Example = {
    "symbol": "700.HK",
    "name_cn": "腾讯控股",
    "name_en": "Tencent Holdings",
    "name_hk": "騰訊控股",
    "exchange": "SEHK",
    "board": "HKEquity",
    "currency": "HKD",
    "lot_size": "100",
    "total_shares": "",
    "circulating_shares": "",
    "hk_shares": "",
    "eps": "",
    "eps_ttm": "",
    "bps": "",
    "dividend_yield": "",
}
CALENDAR: Example = {
    "calendar": "XHKG",
    "markets": ["hk_stock", "index"],
    "instruments": 104,
    "timezone": "Asia/Hong_Kong",
    "state": "closed",
    "round_the_clock": False,
    "time": 1795364866865,
    "next_open": 1795397400000,
    "next_close": 1795406400000,
    "holidays": ["2026-12-25", "2027-01-01"],
    "known_until": "2035-12-31",
}
INSTRUMENT: Example = {
    "code": "GOLD",
    "aliases": ["XAUUSD"],
    "family": "other",
    "market": "metals",
    "calendar": "metals",
    "state": "open",
    "name_en": "Spot gold (XAUUSD)",
    "name_cn": "",
    "name_hk": "",
    "exchange": "",
    "currency": "USD",
    "lot_size": "",
    "depth_levels": 1,
    "price_decimals": 2,
    "volume_decimals": 2,
    "turnover_decimals": 2,
    "last_trade": 1795387137000,
    "learned": False,
}
GAP: Example = {
    "source": "alltick",
    "market": "crypto",
    "codes": ["BTCUSDT"],
    "begin": 1795364866865,
    "end": 1795364901200,
    "reason": "connection lost",
    "filled": 1795364903077,
}
USAGE: Example = {
    "upstream_list": [
        {
            "source": "alltick",
            "waiting": 0,
            "quotas": [{"name": "day", "requests": 86_400, "seconds": 86_400, "left": 85_213}],
            "codes": [{"family": "other", "kind": "trade", "used": 37, "most": 100}],
            "connections": [{"family": "other", "used": 1, "most": 1}],
        }
    ],
    "token_list": [
        {
            "token": "desk",
            "connections": 2,
            "codes": 37,
            "without": 0,
            "requests": 1187,
            "refused": 3,
            "pushes": 481_205,
        }
    ],
}
SSE: Example = {
    "symbol": "600000",
    "symbolName": "浦发银行",
    "haltReason": "T1 Halt - News Pending",
    "haltDate": "2026-11-22",
    "haltTime": "09:30:00",
    "haltPeriod": None,
    "resumeDate": None,
    "resumeTime": None,
    "publishDate": "2026-11-22 09:30:00",
}
NYSE: Example = {
    "symbol": "IBM",
    "symbolName": "International Business Machines",
    "haltReason": "News Pending",
    "haltDate": "2026-11-20",
    "haltTime": "09:42:10",
    "haltDateTime": "2026-11-20 09:42:10",
    "resumeDate": None,
    "resumeTime": None,
    "resumeDateTime": None,
    "sourceExchange": "NYSE",
    "publishDate": "2026-11-20 09:42:10",
}
NASDAQ: Example = {
    "symbol": "AAPL",
    "symbolName": "Apple Inc.",
    "haltDate": "2026-11-20",
    "haltTime": "09:42:10",
    "sourceExchange": "NASDAQ",
    "haltReason": ["T1 Halt - News Pending"],
    "pauseThresholdPrice": None,
    "resumeDate": None,
    "resumeTime": None,
    "resumeDateTime": None,
    "publishDate": "2026-11-20 09:42:10",
}
LINES: dict[str, Example] = {
    "trade": {
        "type": "trade",
        "code": "BTCUSDT",
        "time": 1795387137000,
        "price": "79317.70",
        "volume": "0.5",
        "turnover": "39658.85",
        "direction": 1,
        "seq": 1,
    },
    "book": {
        "type": "book",
        "code": "BTCUSDT",
        "time": 1795387137000,
        "bids": [["79317.60", "1.2"], ["79317.50", "3"]],
        "asks": [["79317.80", "0.7"]],
        "seq": 2,
    },
    "delta": {
        "type": "delta",
        "code": "BTCUSDT",
        "time": 1795387137100,
        "bids": [["79317.60", "0"]],
        "asks": [["79317.75", "0.1"]],
        "seq": 3,
    },
    "quote": {
        "type": "quote",
        "code": "GOLD",
        "time": 1795387137000,
        "bid": "4415.30",
        "bid_volume": "8",
        "ask": "4415.50",
        "ask_volume": "5",
        "seq": 4,
    },
    "instrument": {
        "type": "instrument",
        "code": "MYIDX",
        "market": "cfd_index",
        "price_decimals": 2,
        "volume_decimals": 0,
        "turnover_decimals": 2,
        "levels": 1,
        "name_en": "My index",
        "seq": 5,
    },
}
TALLY: Example = {
    "lines": 3,
    "accepted": 1,
    "duplicates": 1,
    "bad_lines": 1,
    "bad": [{"line": 3, "reason": "price 1.234 has more than 2 decimals"}],
    "seq": 12,
    "durable": 9,
    "queued": 2,
    "limit": 20000,
}
STANDING: Example = {"publisher": "local", "seq": 12, "durable": 12, "queued": 0, "limit": 20000}
READINESS: Example = {
    "ready": True,
    "source": "simulator",
    "simulated": True,
    "events": 52117,
    "recording": None,
    "round_the_clock": True,
    "sources": [
        {
            "name": "simulator",
            "simulated": True,
            "status": "up",
            "since": 1795364866865,
            "reason": "",
            "lag_ms": None,
            "events": 52117,
            "bad": 0,
            "late": 0,
            "dropped": 0,
            "recording": None,
        }
    ],
    "store": {"up": True, "since": None, "reason": "", "waiting_bars": 12},
}
RUN: Example = {
    "number": 1,
    "name": "halt-and-resume",
    "description": "A share is halted, and resumes.",
    "seconds": 2.5,
    "active": [{"do": "halt", "codes": ["AAPL.US"], "for": 60.0}],
    "ahead": [],
}
SCENARIO: Example = {
    "name": "a bad minute",
    "step": [
        {"do": "halt", "codes": ["AAPL.US"], "for": 60.0},
        {"do": "disconnect", "at": 5.0, "chance": 0.5},
    ],
}
CONNECTION: Example = {
    "number": 7,
    "token": "desk",
    "plan": "basic",
    "family": "other",
    "seconds": 91.204,
    "silent_seconds": 1.3,
    "deviations": [{"deviation": "number_as_text", "detail": "depth_level", "count": 3}],
}
HTTP_DEVIATIONS: Example = {
    "token": "desk",
    "deviations": [{"deviation": "token_in_header", "detail": "", "count": 12}],
}


def texts(tick: Example) -> Example:
    """A tick as it is over HTTP."""
    return tick | {"seq": str(tick["seq"]), "tick_time": str(tick["tick_time"])}


def succeeded(data: Example) -> Example:
    """The answer with that data."""
    return {"ret": 200, "msg": "ok", "trace": "", "data": data}

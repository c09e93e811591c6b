"""The words of a question: which of them count, and what the pages call it."""

from __future__ import annotations

import re

WORD = re.compile(r"\w+(?:[-'./:]\w+)*")
MOST_WORDS = 24
"""Words of a question that count; more would only make a search slow."""
STOP = frozenset(
    "a about all am an and any are as at be been but by can could did do does for from get got had has have "
    "how i if in into is it its let make many may me much must my need no not of often on one or our "
    "please shall should so some tell than that the their them then there these they this to use used using "
    "want was we were what what's when where which who why will with without would you your".split()
)
SAID = {
    "apikey": "token",
    "auth": "token",
    "authentication": "token",
    "candle": "k-line",
    "candles": "k-line",
    "candlestick": "k-line",
    "candlesticks": "k-line",
    "csv": "import",
    "dataframe": "pandas",
    "disconnect": "connection closed",
    "disconnected": "connection closed",
    "https": "tls",
    "install": "pip install",
    "kline": "k-line",
    "klines": "k-line",
    "level2": "order book",
    "mock": "sandbox",
    "nginx": "proxy",
    "ohlc": "k-line",
    "ohlcv": "k-line",
    "orderbook": "order book",
    "ping": "heartbeat",
    "ratelimit": "limit",
    "throttle": "limit",
    "throttled": "limit",
    "ws": "websocket",
    "wss": "tls",
    "交易所": "exchange",
    "代码": "code",
    "令牌": "token",
    "停牌": "suspension halt",
    "历史": "history",
    "取消": "cancel",
    "回放": "replay",
    "复权": "adjust_type",
    "外汇": "forex",
    "安全": "security",
    "安装": "install",
    "录制": "record",
    "心跳": "heartbeat",
    "性能": "performance",
    "成交": "trade",
    "推送": "push",
    "断线": "connection closed",
    "时区": "utc",
    "模拟": "simulator",
    "沙盒": "sandbox",
    "测试": "test",
    "涨停": "limit-up",
    "深度": "order book",
    "盘口": "order book",
    "股票": "stock",
    "节假日": "holiday",
    "行情": "price",
    "订阅": "subscribe",
    "跌停": "limit-down",
    "配置": "settings",
    "重连": "reconnect",
    "错误": "error",
    "限制": "limit",
    "限流": "limit",
    "频率": "limit",
    "k线": "k-line",
}
"""What people ask for, in English and Chinese, and the words of the pages for it."""


def words_of(question: str) -> list[str]:
    """The words to look for, in lower case: those of the question, then the pages' words for them."""
    text = question.casefold()
    said = WORD.findall(text)
    counting = [word for word in said if word not in STOP] or said
    meant = [
        word
        for name, words in SAID.items()
        if (name in counting if name.isascii() else name in text)
        for word in words.split()
    ]
    return list(dict.fromkeys(counting + meant))[:MOST_WORDS]


def needles_of(words: list[str]) -> list[str]:
    """What to look for within words: the longer words, and each two neighbours of a Chinese text."""
    found = []
    for word in words:
        if word.isascii():
            found += [word] if len(word) > 2 else []
        else:
            found += [word[at : at + 2] for at in range(max(1, len(word) - 1))]
    return list(dict.fromkeys(found))

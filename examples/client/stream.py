"""Prints trades, books and bars as they come, and says when something may be missing.

python stream.py [SECONDS]
"""

from __future__ import annotations

import asyncio
import sys

import tickwire


async def main(seconds: float) -> None:
    async with tickwire.connect() as feed:
        await feed.subscribe(
            trades=["BTCUSDT", "AAPL.US"],  # two families, two sockets: the feed sees to it
            books={"GOLD": 1},
            klines={"BTCUSDT": "1m"},
        )
        async with asyncio.timeout(seconds):
            async for event in feed:
                show(event)


def show(event: tickwire.Event) -> None:
    match event:
        case tickwire.Trade(code=code, price=price, volume=volume):
            print(f"{event.time:%H:%M:%S} {code} {price} x {volume}")
        case tickwire.Book(code=code, best_bid=bid, best_ask=ask):
            print(f"{event.time:%H:%M:%S} {code} {bid and bid.price} / {ask and ask.price}")
        case tickwire.Kline(code=code, interval=interval, close=close, state=state):
            print(f"{event.time:%H:%M} {code} {interval} {close} ({state})")
        case tickwire.Gap(code=code, begin=begin, end=end, reason=reason):
            print(f"missing: {code or 'something'}, {begin} to {end}: {reason}")
        case tickwire.Status(state=state, family=family, reason=reason):
            print(f"{family}: {state} {reason}")
        case tickwire.Refusal(keys=keys, msg=msg):
            print(f"refused: {keys}: {msg}")


if __name__ == "__main__":
    try:
        asyncio.run(main(float(sys.argv[1]) if sys.argv[1:] else 3600))
    except TimeoutError:
        print("time is up")
    except tickwire.ClientError as error:
        sys.exit(f"no way: {error}")

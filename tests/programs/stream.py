"""A program of AllTick's users in Python: `websockets`."""

import asyncio
import json

import websockets


async def main() -> None:
    """Subscribes, and prints the first push."""
    async with websockets.connect("wss://quote.alltick.co/quote-b-ws-api?token=testtoken") as ws:
        data = {"symbol_list": [{"code": "BTCUSDT"}]}
        await ws.send(json.dumps({"cmd_id": 22004, "seq_id": 1, "trace": "python", "data": data}))
        async for message in ws:
            if json.loads(message)["cmd_id"] == 22998:
                print("push", message)
                return


asyncio.run(main())

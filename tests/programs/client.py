"""A program of AllTick's users in Python: `requests` for HTTP, `websocket-client` for the stream."""

import json

import requests
import websocket

TOKEN = "testtoken"
query = json.dumps({"trace": "python", "data": {"symbol_list": [{"code": "BTCUSDT"}]}})
answer = requests.get(
    "https://quote.alltick.co/quote-b-api/trade-tick", params={"token": TOKEN, "query": query}, timeout=120
)
print("http", answer.json()["ret"])


def on_open(ws: websocket.WebSocketApp) -> None:
    """Subscribes."""
    data = {"symbol_list": [{"code": "BTCUSDT"}]}
    ws.send(json.dumps({"cmd_id": 22004, "seq_id": 1, "trace": "python", "data": data}))


def on_message(ws: websocket.WebSocketApp, message: str) -> None:
    """Prints the first push."""
    if json.loads(message)["cmd_id"] == 22998:
        print("push", message)
        ws.close()


websocket.WebSocketApp(
    f"wss://quote.alltick.co/quote-b-ws-api?token={TOKEN}",
    on_open=on_open,
    on_message=on_message,
    on_error=lambda _, error: print("error", error),
).run_forever()

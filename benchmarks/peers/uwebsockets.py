"""The peer in C++: uWebSockets, through socketify, with its publish/subscribe: a topic a code.

Prints its port as the first line; ends on SIGTERM. It runs on the library's own loop, without asyncio's.
"""

from __future__ import annotations

from frames import UNSENT_LIMIT, Pace, codes_of, frames, parser, wanted
from socketify import App, OpCode, WebSocket  # type: ignore[import-not-found]

BATCH = 1000
"""Ticks of a saturated run between two looks at the sockets, as many as Tickwire's source makes at a time."""
ROOM = 64 * 2**20
"""Bytes that may wait for a client before the library drops what it is sent."""
EVERY_MS = 1


class Market:
    """Publishes ticks, and knows who is there."""

    def __init__(self, codes: int, rate: float) -> None:
        self.app = App(lifespan=False)
        self._frames = frames(codes_of(codes))
        self._pace = Pace(rate or 1)
        self._rate = rate
        self._clients: dict[object, WebSocket] = {}
        behaviour = {"message": self._subscribe, "close": self._leave, "max_backpressure": ROOM}
        self.app.ws("/*", behaviour | {"idle_timeout": 960, "max_payload_length": 64 * 1024})

    def _subscribe(self, socket: WebSocket, text: str, _: OpCode) -> None:
        for code in wanted(text):
            socket.subscribe(code)
            self._clients[socket.ws] = socket

    def _leave(self, socket: WebSocket, _: int, __: object) -> None:
        self._clients.pop(socket.ws, None)

    def _tick(self, count: int) -> None:
        for _ in range(count):
            code, text = next(self._frames)
            self.app.publish(code, text, OpCode.TEXT)

    def run(self) -> None:
        loop = self.app.loop.uv_loop
        if self._rate:
            timer = loop.create_timer(EVERY_MS, EVERY_MS, lambda _: self._tick(self._pace.due(BATCH)), None)
            loop.run()
            timer.stop()
        while True:
            unsent = max((one.get_buffered_amount() for one in self._clients.values()), default=None)
            if unsent is not None and unsent < UNSENT_LIMIT:
                self._tick(BATCH)
                loop.run_nowait()
            else:
                loop.run_once()


if __name__ == "__main__":
    options = parser(__doc__).parse_args()
    market = Market(options.codes, options.rate)
    market.app.listen({"port": 0, "host": "127.0.0.1"}, lambda config: print(config.port, flush=True))
    market.run()

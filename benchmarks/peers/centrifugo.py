"""The peer in Go: Centrifugo, a channel a code, published to over its HTTP API, many ticks a request.

Prints its port as the first line; ends on SIGTERM. This process becomes the server, and a child of it
publishes. To saturate the server it is a client of all channels too, and never further ahead of what it was
sent than so many ticks: else the queues of clients would overflow.
"""

from __future__ import annotations

import asyncio
import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice

from frames import Pace, codes_of, frames, parser
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

BATCH = 100
"""Ticks of a request at most."""
AHEAD = 1000
"""Ticks that are under way in a saturated run."""
START_SECONDS = 20
SETTINGS = {
    "HTTP_SERVER_ADDRESS": "127.0.0.1",
    "HTTP_API_INSECURE": "true",
    "CLIENT_INSECURE": "true",
    "CLIENT_PING_INTERVAL": "3600s",
    "LOG_LEVEL": "error",
}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def wait_for(port: int) -> None:
    """Returns when somebody listens there."""
    for _ in range(START_SECONDS * 20):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    sys.exit("Centrifugo does not listen")


def publish(api: http.client.HTTPConnection, ticks: Iterator[tuple[str, str]], count: int) -> None:
    """Publishes so many, and waits until they are taken."""
    commands = ",".join(
        f'{{"publish":{{"channel":"{code}","data":{text}}}}}' for code, text in islice(ticks, count)
    )
    api.request("POST", "/api/batch", f'{{"commands":[{commands}]}}', {"Content-Type": "application/json"})
    answer = api.getresponse().read()
    if b'"error"' in answer:
        sys.exit(f"Centrifugo refuses: {answer[:200]!r}")


def run_at(rate: float, api: http.client.HTTPConnection, ticks: Iterator[tuple[str, str]]) -> None:
    pace = Pace(rate)
    while True:
        if due := pace.due(BATCH):
            publish(api, ticks, due)
        time.sleep(pace.wait)


async def run_saturated(
    port: int, codes: list[str], api: http.client.HTTPConnection, ticks: Iterator[tuple[str, str]]
) -> None:
    url, ahead = f"ws://127.0.0.1:{port}/connection/websocket", 0
    async with connect(url, compression=None, max_size=None) as link:
        wishes = [f'{{"id":{n},"subscribe":{{"channel":"{code}"}}}}' for n, code in enumerate(codes, start=2)]
        await link.send("\n".join(['{"id":1,"connect":{}}', *wishes]))
        while True:
            while ahead <= AHEAD - BATCH:
                publish(api, ticks, BATCH)
                ahead += BATCH
            ahead -= str(await link.recv()).count('"pub"')


def feed(port: int, codes: list[str], rate: float) -> None:
    """Publishes to the Centrifugo on that port, until it is gone."""
    wait_for(port)
    print(port, flush=True)
    api, ticks = http.client.HTTPConnection("127.0.0.1", port), frames(codes)
    with suppress(OSError, http.client.HTTPException, ConnectionClosed):
        if rate:
            run_at(rate, api, ticks)
        else:
            asyncio.run(run_saturated(port, codes, api, ticks))


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--program", help="where Centrifugo is")
    options.add_argument("--publish-to", type=int, help="be the publisher of the one on that port")
    given = options.parse_args()
    if given.publish_to:
        feed(given.publish_to, codes_of(given.codes), given.rate)
        return
    port = free_port()
    words = ["--codes", given.codes, "--rate", given.rate, "--publish-to", port]
    subprocess.Popen([sys.executable, __file__, *map(str, words)])
    os.dup2(2, 1)  # our output is the child's alone
    settings = {f"CENTRIFUGO_{name}": value for name, value in SETTINGS.items()}
    os.execve(  # noqa: S606 (no shell is wanted)
        given.program, [given.program], os.environ | settings | {"CENTRIFUGO_HTTP_SERVER_PORT": str(port)}
    )


if __name__ == "__main__":
    main()

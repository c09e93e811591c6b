"""With which codes and reasons the server closes a WebSocket, which AsyncAPI has no place for."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias


class Closing(NamedTuple):
    """A code of RFC 6455, the reason as a regular expression, and when it comes."""

    code: int
    reason: str
    when: str


Closes: TypeAlias = tuple[Closing, ...]

EVERYWHERE: Closes = (
    Closing(1001, "^server shutdown$", "The server stops."),
    Closing(1002, "", "A frame breaks the rules of RFC 6455."),
    Closing(1007, "^text is not UTF-8$", "A text is no UTF-8."),
    Closing(1008, "^token (expired|revoked|invalid)$", "The token counts no more."),
    Closing(1008, "^too slow: over [0-9]+ bytes unread$", "The client does not read what it is sent."),
    Closing(
        1008, "^too slow: hardly anything read in 30 s$", "It reads less than 64 KiB of that in 30 seconds."
    ),
    Closing(1008, "^a message was not completed in time$", "The rest of its fragments did not come in 30 s."),
    Closing(1009, "", "A message is longer than 1 MiB."),
)
CLIENT_CLOSES: Closes = (
    *EVERYWHERE,
    Closing(1003, "^text frames only$", "A binary frame came, and the server is strict."),
    Closing(1008, "^heartbeat timeout$", "Nothing that counts as a heartbeat came for 30 seconds."),
    Closing(
        1008, "^too many requests$", "Subscriptions came too fast for the third time in 10 seconds (606)."
    ),
    Closing(
        1008,
        "^another connection of this token took its place$",
        "The plan allows no more connections, and this one had been silent.",
    ),
)
PUBLISHER_CLOSES: Closes = (
    *EVERYWHERE,
    Closing(1008, "^a token is required now$", "The first token of the server was created."),
    Closing(1008, "^nothing heard for too long$", "Nothing came for a minute, and a ping was not answered."),
    Closing(1011, "^server error$", "The server is at fault; its log says more."),
)

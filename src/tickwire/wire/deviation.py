"""What a client does that the documents do not allow: named, counted, bounded.

The server reads most of it all the same (section 2, "What real clients send"); another one may not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum

MOST_DETAILS = 10
"""Different details of a deviation that one report names; what comes beyond them is counted without."""
_NAME = re.compile(r"[A-Za-z0-9._]{1,20}")


class Deviation(StrEnum):
    """What is not as documented; the page on the protocol says what each name stands for."""

    NOT_JSON = "not_json"
    LENIENT_JSON = "lenient_json"
    HEARTBEAT_NUMBER = "heartbeat_number"
    UNKNOWN_COMMAND = "unknown_command"
    MISSING_FIELD = "missing_field"
    NULL_FIELD = "null_field"
    UNKNOWN_FIELD = "unknown_field"
    NUMBER_AS_TEXT = "number_as_text"
    LARGE_SEQ_ID = "large_seq_id"
    EMPTY_DATA = "empty_data"
    IMPOSSIBLE_VALUE = "impossible_value"
    PLAIN_CODE = "plain_code"
    SYMBOL_FOR_CODE = "symbol_for_code"
    DUPLICATE_CODE = "duplicate_code"
    ALIAS = "alias"
    OTHER_FAMILY = "other_family"
    UNKNOWN_CODE = "unknown_code"
    CODES_LEFT_OUT = "codes_left_out"
    BARS_LEFT_OUT = "bars_left_out"
    TOO_FAST = "too_fast"
    LATE_HEARTBEAT = "late_heartbeat"
    HEARTBEAT_TIMEOUT = "heartbeat_timeout"
    PING_FOR_HEARTBEAT = "ping_for_heartbeat"
    BINARY_FRAME = "binary_frame"
    BROKEN_FRAME = "broken_frame"
    TOKEN_IN_HEADER = "token_in_header"  # noqa: S105  # a name
    UNKNOWN_PATH = "unknown_path"
    WRONG_METHOD = "wrong_method"


class Report(dict[tuple[Deviation, str], int]):
    """How often each deviation was met with each detail, such as the name of a field, or none."""

    def note(self, deviation: Deviation, detail: str = "", count: int = 1) -> None:
        """Counts one. The detail must be printable and short: see `shown`."""
        key = deviation, detail
        if key not in self and sum(one is deviation for one, _ in self) >= MOST_DETAILS:
            key = deviation, ""
        self[key] = self.get(key, 0) + count

    def note_each(self, deviation: Deviation, written: Sequence[str]) -> None:
        """Counts one for each of what a client wrote, which may be very much."""
        for text in written[:MOST_DETAILS]:
            self.note(deviation, shown(text))
        if (rest := len(written) - MOST_DETAILS) > 0:
            self.note(deviation, count=rest)

    def add(self, other: Report) -> None:
        """Counts all of another one."""
        for (deviation, detail), count in other.items():
            self.note(deviation, detail, count)

    @property
    def notable(self) -> bool:
        """Whether the log tells of it: there is more than a token in a header, as our own pages send it."""
        return any(deviation is not Deviation.TOKEN_IN_HEADER for deviation, _ in self)

    def counts(self) -> dict[str, int]:
        """For people: `{"number_as_text: depth_level": 3}`."""
        return {
            f"{deviation}: {detail}" if detail else str(deviation): count
            for (deviation, detail), count in self.items()
        }


def shown(text: str) -> str:
    """What a client wrote, if it can be a code or the name of a field; else `?`, since it may be a secret."""
    return text if _NAME.fullmatch(text) else "?"

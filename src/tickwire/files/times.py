"""Times as people write them: whole numbers of whatever unit, ISO 8601, dates."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta, tzinfo
from decimal import Decimal
from typing import NamedTuple

from ..model import YEAR_1990, YEAR_2100

UNITS = {
    "seconds": Decimal(1000),
    "milliseconds": Decimal(1),
    "microseconds": Decimal("0.001"),
    "nanoseconds": Decimal("0.000001"),
}
"""Milliseconds in each."""
ENDINGS = {"_s": "seconds", "_ms": "milliseconds", "_us": "microseconds", "_ns": "nanoseconds"}
"""How the name of a column may end that says what its times are in."""
ONLY_DIGITS = re.compile(r"\d{1,20}(?:\.\d{1,20})?(?:[eE]\+?\d{1,2})?")
A_DAY = re.compile(r"(?:19|20)\d{6}")
SLASHES = re.compile(r"(\d{4})[./](\d{1,2})[./](\d{1,2})")
MS_DIGITS = 13
"""Those of all milliseconds since 2001."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Stamp(NamedTuple):
    """A moment in milliseconds since the epoch. `naive` says that it was written without a zone."""

    ms: int
    naive: bool


class Times:
    """Reads the times of one column."""

    def __init__(self, name: str, zone: tzinfo = UTC, form: str = "") -> None:
        """`zone` is that of times without one; `form` how they are written, for `strptime`."""
        self._name = name
        self._zone = zone
        self._form = form
        self._is_ms = name.lower().endswith("_ms") and not form
        self._unit = next((unit for end, unit in ENDINGS.items() if name.lower().endswith(end)), None)

    def read(self, text: str) -> Stamp:
        """The time. Raises ValueError with what is wrong with it."""
        if self._is_ms and len(text) == MS_DIGITS and text.isdigit():  # as nearly all are
            return Stamp(int(text), naive=False)
        if self._form:
            return self._written(text, self._parsed(text))
        if A_DAY.fullmatch(text):
            return self._written(text, self._iso(f"{text[:4]}-{text[4:6]}-{text[6:]}", text))
        if ONLY_DIGITS.fullmatch(text):
            return self._counted(text)
        return self._written(text, self._iso(SLASHES.sub(_dashes, text, count=1), text))

    def _counted(self, text: str) -> Stamp:
        found = {unit: int(Decimal(text) * ms) for unit, ms in UNITS.items()}
        fit = [unit for unit, ms in found.items() if YEAR_1990 <= ms < YEAR_2100]
        unit = self._unit or (fit[0] if fit else None)
        if unit is not None and unit in fit:
            return Stamp(found[unit], naive=False)
        hint = f": it looks like {fit[0]}" if fit else ""
        raise ValueError(
            f"{self._name} is {text}, which is not between 1990 and 2100 in "
            f"{unit or 'seconds, nor in parts of them'}{hint}"
        )

    def _written(self, text: str, found: datetime) -> Stamp:
        naive = found.tzinfo is None
        moment = self._in_zone(found) if naive else found
        ms = (moment - EPOCH) // timedelta(milliseconds=1)
        if not YEAR_1990 <= ms < YEAR_2100:
            raise ValueError(f"{self._name} is {text[:40]!a}, which is not between 1990 and 2100")
        return Stamp(ms, naive)

    def _in_zone(self, found: datetime) -> datetime:
        """That time on the clocks of the zone. Raises ValueError where it is none, or two."""
        moment = found.replace(tzinfo=self._zone)
        if self._zone is UTC or found.time() == time():  # a date
            return moment
        if moment.astimezone(UTC).astimezone(self._zone).replace(tzinfo=None) != found:
            raise ValueError(
                f"{self._name} is {found}, which there was not in {self._zone}: clocks went forward"
            )
        if moment.utcoffset() != moment.replace(fold=1).utcoffset():
            raise ValueError(
                f"{self._name} is {found}, which there was twice in {self._zone}: clocks went back, so it "
                "needs an offset"
            )
        return moment

    def _iso(self, iso: str, text: str) -> datetime:
        try:
            return datetime.fromisoformat(iso)
        except ValueError:
            raise ValueError(
                f"{self._name} is {text[:40]!a}, expected a time such as 2026-09-04T12:30Z"
            ) from None

    def _parsed(self, text: str) -> datetime:
        try:
            return datetime.strptime(text, self._form)  # noqa: DTZ007  # what has no zone is of the given one
        except ValueError:
            raise ValueError(f"{self._name} is {text[:40]!a}, expected the form {self._form!r}") from None


def _dashes(found: re.Match[str]) -> str:
    year, month, day = found.groups()
    return f"{year}-{month:>02}-{day:>02}"

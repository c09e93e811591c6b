"""Keeps a token out of what is logged and shown."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote

import structlog

log = structlog.get_logger()


class Secret:
    """The token of the moment. `token` gives it; where that fails, the last good one stays, or none."""

    def __init__(self, token: Callable[[], str]) -> None:
        self._give = token
        self._token = ""

    def __call__(self) -> str:
        """The token."""
        try:
            self._token = self._give()
        except Exception as error:  # whatever it is made of: upstream says what it thinks of the old one
            log.warning("the old token is kept", reason=type(error).__name__)
        return self._token

    def plain(self, text: str) -> str:
        """A text, which upstream may have had a hand in, without the token."""
        if not self._token:
            return text
        forms = "|".join(re.escape(form) for form in (self._token, quote(self._token, safe="")))
        return re.sub(rf"(?<!\w)(?:{forms})(?!\w)", "…", text)

"""What requests over HTTP do that the documents do not allow: a connection's report has no place for it."""

from __future__ import annotations

import structlog

from ..wire import Report

MOST_TOKENS = 1000
"""Tokens that have a report of their own."""

log = structlog.get_logger()


class HttpReports:
    """One report a token: by its name, None while any is let in, and for those beyond `MOST_TOKENS`."""

    def __init__(self) -> None:
        self.by_token: dict[str | None, Report] = {}
        self._logged: set[str | None] = set()

    def add(self, token: str | None, noted: Report) -> None:
        """Counts what was noted of a request. The first that is notable is logged, of each token."""
        if not noted:
            return
        if token not in self.by_token and len(self.by_token) >= MOST_TOKENS:
            token = None
        self.by_token.setdefault(token, Report()).add(noted)
        if noted.notable and token not in self._logged:
            self._logged.add(token)
            log.info(
                "requests over HTTP do what the documents do not allow: see /admin/connections",
                token=token,
                deviations=noted.counts(),
            )

"""The answers of /api/suspension."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tickwire.model import Suspension, SuspensionList
from tickwire.store import suspension_of
from tickwire.wire.suspension import page_and_size, suspension_error, suspension_page

NOW = "2026-09-04T10:30:00"
CAPTURED: dict[str, dict[str, Any]] = {
    "sse": {
        "symbol": "111008",
        "symbolName": "沿浦转债",
        "haltReason": "重要公告",
        "haltDate": "-",
        "haltTime": None,
        "haltPeriod": "自2025-03-31起连续停牌",
        "resumeDate": None,
        "resumeTime": None,
        "publishDate": "2025-03-19",
    },
    "nyse": {
        "symbol": "CLGN",
        "symbolName": "CollPlant Biotechnologies Ltd Ordinary Shares",
        "haltReason": "News Pending",
        "haltDate": "2026-09-03",
        "haltTime": "19:50:00",
        "haltDateTime": "2026-09-03 19:50:00",
        "resumeDate": "2026-09-04",
        "resumeTime": "09:00:00",
        "resumeDateTime": "2026-09-04 09:00:00",
        "sourceExchange": "Nasdaq",
        "publishDate": "2026-09-03 19:50:00",
    },
    "nasdaq": {
        "symbol": "MAGH",
        "symbolName": "Magnitude International Ltd OS",
        "haltDate": "2025-12-04",
        "haltTime": "19:50:00",
        "sourceExchange": "NASDAQ",
        "haltReason": [
            "H10 Halt SEC Trading Suspension -",
            "T1 Halt - News Pending - Trading is halted pending the release of material news.",
            "T12 Halt - Trading Halted; For information requested by NASDAQ -",
        ],
        "pauseThresholdPrice": "",
        "resumeDate": None,
        "resumeTime": None,
        "resumeDateTime": None,
        "publishDate": "2025-12-04 19:50:00",
    },
}


def a_suspension(exchange: str, **fields: Any) -> Suspension:
    return Suspension(
        **{"exchange": SuspensionList(exchange), "symbol": "X", "publish_date": "2026-09-03"} | fields
    )


def answered(*suspensions: Suspension) -> list[dict[str, Any]]:
    data: list[dict[str, Any]] = json.loads(suspension_page(NOW, len(suspensions), suspensions))["data"]
    return data


@pytest.mark.parametrize("exchange", CAPTURED)
def test_entries_are_written_as_they_were_received(exchange: str) -> None:
    captured = CAPTURED[exchange]
    body = suspension_page(NOW, 1, [suspension_of(captured, exchange)])
    head = f'{{"success":true,"timestamp":"{NOW}","totalCount":1,"data":['
    compact = json.dumps(captured, ensure_ascii=False, separators=(",", ":"))
    assert body.decode() == f"{head}{compact}]}}"


@pytest.mark.parametrize("exchange", SuspensionList)
def test_what_is_not_known_is_null(exchange: SuspensionList) -> None:
    (entry,) = answered(a_suspension(exchange))
    assert entry.keys() == CAPTURED[exchange].keys()
    known = {"symbol": "X", "publishDate": "2026-09-03"}
    reasons: dict[str, Any] = {"haltReason": []} if exchange == "nasdaq" else {}
    assert entry == dict.fromkeys(entry) | known | reasons


def test_several_reasons() -> None:
    written = [answered(a_suspension(one, halt_reason=("a", "b")))[0]["haltReason"] for one in CAPTURED]
    assert written == ["a; b", "a; b", ["a", "b"]]


def test_a_moment_needs_both_parts() -> None:
    (entry,) = answered(a_suspension("nyse", halt_date="-", halt_time="09:00:00", resume_date="2026-09-04"))
    assert (entry["haltDateTime"], entry["resumeDateTime"]) == (None, None)
    assert (entry["haltDate"], entry["haltTime"], entry["resumeDate"]) == ("-", "09:00:00", "2026-09-04")


def test_an_empty_list() -> None:
    assert json.loads(suspension_page(NOW, 0, [])) == {
        "success": True,
        "timestamp": NOW,
        "totalCount": 0,
        "data": [],
    }


@pytest.mark.parametrize(
    ("total", "size", "pages"), [(0, 20, 0), (1, 20, 1), (20, 20, 1), (21, 20, 2), (3, 1, 3), (7, 1000, 1)]
)
def test_how_many_pages(total: int, size: int, pages: int) -> None:
    body = json.loads(suspension_page(NOW, total, [a_suspension("sse")], 1, size))
    assert [*body] == [
        *("success", "timestamp", "totalCount", "totalPages", "currentPage", "currentSize", "data")
    ]
    counts = (body["totalCount"], body["totalPages"], body["currentPage"], body["currentSize"])
    assert counts == (total, pages, 1, 1)


def test_a_page_after_the_last() -> None:
    body = json.loads(suspension_page(NOW, 3, [], 10**9, 2))
    assert (body["totalPages"], body["currentPage"], body["currentSize"]) == (2, 10**9, 0)
    assert body["data"] == []


def test_an_error() -> None:
    assert suspension_error('page is "x".') == b'{"success":false,"error":"page is \\"x\\"."}'


@pytest.mark.parametrize(
    ("page", "size", "read"),
    [
        (None, None, None),
        ("1", "1", (1, 1)),
        ("7", None, (7, 20)),
        (None, "50", (1, 50)),
        ("1000000000", "1000", (10**9, 1000)),
        ("01", "007", (1, 7)),
    ],
)
def test_parameters(page: str | None, size: str | None, read: tuple[int, int] | None) -> None:
    assert page_and_size(page, size) == read


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "+1", " 1", "1.0", "1e3", "x", "１", "1_0", "9" * 40, "9" * 5000]
)
def test_bad_parameters(text: str) -> None:
    with pytest.raises(ValueError, match=r"^page is '.*', expected a whole number from 1 to 1000000000\.$"):
        page_and_size(text, "1")
    with pytest.raises(ValueError, match=r"^size is '.{,40}', expected a whole number from 1 to 1000\.$"):
        page_and_size(None, text)


def test_one_more_than_the_most() -> None:
    with pytest.raises(ValueError, match="size is '1001'"):
        page_and_size("1", "1001")
    with pytest.raises(ValueError, match="page is '1000000001'"):
        page_and_size("1000000001", None)

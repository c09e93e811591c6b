"""What requests over HTTP do that the documents do not allow: /admin/connections and the log."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ..serving import OTHER_HTTP, STOCK_HTTP, STOCK_WS, Script, serving
from .bench import issue
from .reports import alone, codes, counts, listed

pytestmark = pytest.mark.asyncio(loop_scope="module")

LOGGED_HTTP = "requests over HTTP do what the documents do not allow: see /admin/connections"


def query(data: object, **more: object) -> str:
    return json.dumps({"trace": "t", "data": data} | more)


PRINTED = str({"trace": "t", "data": codes("BTCUSDT")})
BARS = {"code": "BTCUSDT", "kline_type": 1}
GETS: dict[str, tuple[str, str | None, dict[str, int]]] = {
    "as documented": ("trade-tick", query(codes("BTCUSDT")), {}),
    "no query": ("trade-tick", None, {"missing_field: query": 1}),
    "no JSON": ("trade-tick", "{", {"not_json": 1}),
    "no object": ("trade-tick", "[]", {"not_json": 1}),
    "a printed dictionary": ("trade-tick", PRINTED, {"lenient_json": 1}),
    "no trace": ("trade-tick", json.dumps({"data": codes("BTCUSDT")}), {"missing_field: trace": 1}),
    "the other family": ("trade-tick", query(codes("700.HK")), {"other_family: 700.HK": 1}),
    "a text": ("kline", query(BARS | {"query_kline_num": "1"}), {"number_as_text: query_kline_num": 1}),
    "too many bars": ("kline", query(BARS | {"query_kline_num": 502}), {"bars_left_out": 2}),
    "a batch of too many": (
        "batch-kline",
        query({"data_list": [BARS | {"query_kline_num": 3}]}),
        {"bars_left_out": 1},
    ),
    "an unknown path": ("static_info", query(codes("BTCUSDT")), {"unknown_path": 1}),
}  # fmt: skip


@alone
@pytest.mark.parametrize("name", GETS)
async def test_what_a_request_over_http_does(tmp_path: Path, name: str) -> None:
    path, text, expected = GETS[name]
    async with serving(tmp_path, Script()) as served:
        with capture_logs() as logged:
            for _ in range(2):
                await served.get(f"{OTHER_HTTP}/{path}", text, token="secret-text")
        shown = (await listed(served))["http"]
        twice = {name: 2 * count for name, count in expected.items()}
        assert [(one["token"], counts(one["deviations"])) for one in shown] == (
            [(None, twice)] if twice else []
        )
        assert [(line["event"], line["deviations"]) for line in logged] == (
            [(LOGGED_HTTP, expected)] if twice else []
        )
        assert "secret-text" not in str(shown) + str(logged)


@alone
async def test_tokens_have_reports_of_their_own(tmp_path: Path) -> None:
    one, other = issue(tmp_path, "one"), issue(tmp_path, "other")
    async with serving(tmp_path, Script()) as served:
        await served.request("GET", f"{STOCK_HTTP}/trade-tick?token={one}")
        await served.request("PUT", f"{STOCK_HTTP}/trade-tick", headers={"Authorization": f"Bearer {other}"})
        async with served.link(STOCK_WS, one) as link:
            await link.ask(22998)
            shown = await listed(served)
    assert {line["token"]: counts(line["deviations"]) for line in shown["http"]} == {
        "one": {"missing_field: query": 1},
        "other": {"token_in_header": 1, "wrong_method: PUT": 1},
    }
    assert [counts(line["deviations"]) for line in shown["connections"]] == [{"heartbeat_number: 22998": 1}]

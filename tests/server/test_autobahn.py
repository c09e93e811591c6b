"""The cases of the Autobahn test suite against an echo on our shell and reader of frames.

It stands in a real server, behind its doors and its upgrade. What is not passed as the suite would have it is
judged in docs/websocket.md. Compression (12, 13) is not agreed to, and so not asked for.
"""

from __future__ import annotations

from pathlib import Path

import kosoku

from ..serving import Script, serving
from .echo import echoes
from .websocket_page import AUTOBAHN, rows

TOO_BIG = 1009


async def test_its_cases(tmp_path: Path) -> None:
    async with serving(tmp_path, Script()) as served:
        echoes(served)
        address = served.url.removeprefix("http://")
        try:
            results = await kosoku.run_fuzzingclient(address, exclude_cases=["12.*", "13.*"], concurrency=4)
        except kosoku.FailureError as failed:
            results = failed.results
    assert len(results) >= 300
    judged = {case for row in rows(AUTOBAHN) for case in row[0].replace("`", "").split(", ")}
    other = {one.case_id for one in results if (one.behavior.value, one.behavior_close.value) != ("OK", "OK")}
    assert other == judged
    for one in results:
        if not one.passed:
            assert one.remote_close_code == TOO_BIG, (one.case_id, one.result, one.result_close)

"""Which pages there are, and in which order."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tickwire.server.documents import Documents
from tickwire.server.documents.shelf import GROUPS

from .reading import NAMES, Html, ask, serving, shelf

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_index_lists_every_page_in_the_order_of_the_groups(client: httpx.AsyncClient) -> None:
    answer = await client.get("/docs")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    main = answer.text.partition("<main")[2].partition("</main>")[0]
    listed = [link.removeprefix("/docs/") for link in Html(main).links if link.startswith("/docs/")]
    assert sorted(listed) == NAMES
    order = [name for names in GROUPS.values() for name in names if name in NAMES]
    assert listed == order + [name for name in NAMES if name not in order]
    assert "You can write a client of Tickwire from scratch" in main


async def test_a_page_that_no_group_names_is_in_the_last_one(tmp_path: Path) -> None:
    (tmp_path / "zebra.md").write_text("# Zebra\n\nAfter this page you ride. More.\n")
    (tmp_path / "relay.md").write_text("# Relay\n\nAfter this page, in a minute, you share.\n")
    (tmp_path / "notes.txt").write_text("no page")
    async with serving(Documents(tmp_path)) as client:
        text = (await client.get("/llms.txt")).text
        assert "## Sources\n\n- [Relay](/docs/relay.md): In a minute, you share.\n" in text
        assert "## More\n\n- [Zebra](/docs/zebra.md): You ride.\n" in text
        assert "## Start" not in text
        assert (await client.get("/docs/notes")).status_code == 404


async def test_without_any_page_there_is_an_empty_list(tmp_path: Path) -> None:
    async with serving(Documents(tmp_path / "none")) as client:
        assert (await client.get("/docs")).status_code == 200
        assert await ask(client, "heartbeat") == []


async def test_every_page_of_a_group_exists() -> None:
    assert {name for names in GROUPS.values() for name in names} <= shelf().pages.keys()

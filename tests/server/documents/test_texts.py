"""What is written for programs: /llms.txt, and excerpts that answer a question."""

from __future__ import annotations

import re

import httpx
import pytest

from tickwire.server.documents.shelf import GROUPS

from .reading import DOCS, NAMES, ask

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_llms_txt_has_the_form_of_llmstxt_org(client: httpx.AsyncClient) -> None:
    answer = await client.get("/llms.txt")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    head, *sections = re.split(r"^## ", answer.text, flags=re.MULTILINE)
    assert re.match(r"# Tickwire\n\n> \S.*\n\n", head)
    assert "?ask=" in head
    assert "full-text" in head
    titles = [section.partition("\n")[0] for section in sections]
    assert titles == [*GROUPS, "Interfaces", "Optional"]
    links = []
    for section in sections:
        for line in section.partition("\n\n")[2].strip().splitlines():
            found = re.fullmatch(r"- \[([^\]]+)\]\((/[^)]+)\): (\S.*)\.", line)
            assert found, line
            links.append(found[2])
    assert {f"/docs/{name}.md" for name in NAMES} | {"/openapi.json", "/asyncapi.json", "/llms-full.txt"} == {
        *links
    }
    assert (await client.get("/docs.md")).text == answer.text


async def test_llms_full_txt_is_all_pages_with_links_that_hold_there(client: httpx.AsyncClient) -> None:
    answer = await client.get("/llms-full.txt")
    order = re.findall(r"\]\(/docs/([\w-]+)\.md\):", (await client.get("/llms.txt")).text)
    titles = [(DOCS / f"{name}.md").read_text().splitlines()[0] for name in order]
    assert [line for line in answer.text.splitlines() if line in titles] == titles
    targets = set(re.findall(r"\]\(([^)#]*)", answer.text))
    paths = {one for one in targets if not one.startswith("https://")}
    assert "/docs/images/terminal-dark.png" in paths
    assert {path: (await client.get(path)).status_code for path in paths} == dict.fromkeys(paths, 200)
    assert "](/docs/protocol.md#errors)" in answer.text


async def test_a_question_is_answered_with_excerpts(client: httpx.AsyncClient) -> None:
    assert (await ask(client, "How often must I send a heartbeat?"))[0] == "/docs/protocol.md#heartbeat"
    assert "/docs/security.md#tls-in-front" in await ask(client, "TLS with nginx")
    assert "/docs/recording.md#replay" in await ask(client, "replaying recordings")
    assert (await ask(client, "fallback_after"))[0] == "/docs/settings.md#fallback_after"
    assert "/docs/protocol.md#k-line-push" in await ask(client, "如何订阅K线推送")
    assert len(await ask(client, "server")) == 5


async def test_the_page_that_is_asked_comes_first_where_it_has_something(client: httpx.AsyncClient) -> None:
    free = await ask(client, "token")
    asked = await ask(client, "token", "/docs/publishing.md")
    assert not free[0].startswith("/docs/publishing.md")
    own = [link.startswith("/docs/publishing.md") for link in asked]
    assert own == [True] * 3 + [False] * 2
    assert free[0] in asked
    assert await ask(client, "heartbeat", "/docs/recording.md") == await ask(client, "heartbeat")
    assert await ask(client, "token", "/docs/nothing-of-the-kind.md") == free


async def test_what_cannot_be_found_is_said(client: httpx.AsyncClient) -> None:
    assert await ask(client, "zzzz qqqq") == []
    assert "nothing was found" in (await client.get("/docs.md?ask=zzzz")).text

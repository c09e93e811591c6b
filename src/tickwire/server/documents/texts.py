"""What is written for programs: the list of pages, all pages in one, excerpts that answer a question."""

from __future__ import annotations

from collections.abc import Sequence

from .page import from_anywhere
from .search import LONGEST_QUESTION, OF_THE_PAGE, Found
from .shelf import Shelf

SUMMARY = "A market-data server anyone can run that speaks the AllTick protocol."
EXCERPTS = 5
"""Excerpts that answer a question."""
HEAD = f"""\
# Tickwire

> {SUMMARY} Programs written for AllTick work with it after changing the host.

The data come from a simulator, an AllTick account, live exchanges, a publisher's own prices or a recording.

All addresses here are paths of this server. Pages are Markdown; the same path without `.md` is for a browser.

To search, GET `/docs/PAGE.md?ask=QUESTION`; the question is URL-encoded, of up to
{LONGEST_QUESTION} characters. It is a full-text search, not an answer by a person or a model:
up to {EXCERPTS} excerpts, the best matches first, but up to {OF_THE_PAGE} of PAGE before all others.
`/docs.md?ask=QUESTION`, and a PAGE that does not exist, prefer no page.
"""
INTERFACES = """\
## Interfaces

- [OpenAPI](/openapi.json): every HTTP endpoint, with its answers and errors.
- [AsyncAPI](/asyncapi.json): every message of the WebSockets.
"""
OPTIONAL = """\
## Optional

- [All pages in one](/llms-full.txt): the text of every page above, in this order.
"""
NATURE = "This is a full-text search of Tickwire's pages, not an answer by a person or a model"


def llms(shelf: Shelf) -> str:
    """/llms.txt, in the form of llmstxt.org."""
    groups = [
        f"## {group}\n\n"
        + "".join(f"- [{page.title}](/docs/{page.name}.md): {page.summary}\n" for page in pages)
        for group, pages in shelf.groups.items()
    ]
    return "\n".join([HEAD, *groups, INTERFACES, OPTIONAL])


def llms_full(shelf: Shelf) -> str:
    """/llms-full.txt: all pages."""
    return "\n\n".join(from_anywhere(page.name, page.text.strip()) for page in shelf.pages.values()) + "\n"


def excerpts(found: Sequence[Found], title: str) -> str:
    """The answer to a question; `title` is that of the page that was asked, empty if none is preferred.

    The question is not repeated: whoever reads the answer should read nothing but the pages.
    """
    if not found:
        return (
            f"{NATURE}: nothing was found. Try other words, or the list of pages: [/llms.txt](/llms.txt).\n"
        )
    first = f"up to {OF_THE_PAGE} of the page “{title}” first, then " if title else ""
    parts = [
        f"{NATURE}: the best matching excerpts, {first}those of all pages.",
        *(
            f"## [{' › '.join(filter(None, [one.trail, one.heading]))}](/docs/{one.page}.md#{one.anchor})\n\n"
            f"{one.markdown}"
            for one, _ in found
        ),
    ]
    return "\n\n".join(parts) + "\n"

"""The pages as a browser shows them: the frame around them, the list, what was found, what is missing."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template
from urllib.parse import quote

from .page import Page
from .search import BEGIN, END, LONGEST_QUESTION, Found
from .shelf import Shelf
from .texts import SUMMARY

ICON = (
    "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'><rect width='32' height='32' rx='7' "
    "fill='#10141c'/><path d='M8 9v14M16 6v20M24 10v12' stroke='#5b6578' stroke-width='2'/>"
    "<path d='M8 13v6' stroke='#f0616d' stroke-width='5'/>"
    "<path d='M16 11v9M24 13v5' stroke='#2ebd85' stroke-width='5'/></svg>"
)
FRAME = Template((Path(__file__).parent / "frame.html").read_text("utf-8"))
DEEPEST = 3
"""Headings up to this level are in a page's table of contents."""


def frame(shelf: Shelf, title: str, content: str, *, page: Page | None = None, search: str = "") -> str:
    """A whole HTML document around that content."""
    name = page.name if page else ""
    contents = _contents(page) if page else ""
    here = '<a href="#contents">On this page</a>' if contents else ""
    plain = f'<link rel="alternate" type="text/markdown" href="/docs/{name}.md">\n' if page else ""
    return FRAME.substitute(
        title=escape(title),
        icon=quote(ICON),
        summary=escape(page.summary if page else SUMMARY),
        plain=plain,
        search=escape(search),
        longest=LONGEST_QUESTION,
        here=here,
        content=content,
        contents=contents,
        pages=_list(shelf, name),
    )


def page_html(shelf: Shelf, page: Page) -> str:
    """A page."""
    foot = f'<footer><a href="/docs/{page.name}.md">This page as Markdown</a></footer>\n'
    return frame(shelf, page.title, page.content + foot, page=page)


def index_html(shelf: Shelf) -> str:
    """The list of all pages, each with what its reader can do after it."""
    groups = "".join(
        f"<section><h2>{escape(group)}</h2>\n<dl>\n"
        + "".join(
            f'<dt><a href="/docs/{page.name}">{escape(page.title)}</a></dt><dd>{escape(page.summary)}</dd>\n'
            for page in pages
        )
        + "</dl></section>\n"
        for group, pages in shelf.groups.items()
    )
    programs = (
        '<p>For programs: <a href="/llms.txt">/llms.txt</a> lists these pages as Markdown, '
        '<a href="/llms-full.txt">/llms-full.txt</a> is all of them, '
        '<a href="/openapi.json">/openapi.json</a> and <a href="/asyncapi.json">/asyncapi.json</a> '
        "describe the API.</p>\n"
    )
    lead = f"<h1>Documents</h1>\n<p>{escape(SUMMARY)} What each page gives you:</p>\n"
    return frame(shelf, "Documents", lead + groups + programs)


def found_html(shelf: Shelf, search: str, found: Sequence[Found]) -> str:
    """What a search has found."""
    results = "".join(
        f'<li><a href="/docs/{one.page}#{escape(one.anchor)}">{escape(one.heading)}</a>'
        f"<small>{escape(one.trail)}</small><p>{_marked(line)}</p></li>\n"
        for one, line in found
    )
    said = f'<ol class="found">\n{results}</ol>\n' if found else "<p>Nothing. Other words may help.</p>\n"
    title = f"Search: {search}"
    return frame(shelf, title, f"<h1>{escape(title)}</h1>\n{said}", search=search)


def refused_html(shelf: Shelf, title: str, text: str) -> str:
    """A page that says why there is none."""
    return frame(shelf, title, f"<h1>{escape(title)}</h1>\n<p>{escape(text)}</p>\n")


def missing_html(shelf: Shelf, name: str) -> str:
    """There is no page of that name; here are those with names like it."""
    near = "".join(
        f'<li><a href="/docs/{one.name}">{escape(one.title)}</a></li>\n' for one in nearest(shelf, name)
    )
    listed = f"<p>Did you mean</p>\n<ul>\n{near}</ul>\n" if near else ""
    text = f"<h1>There is no such page</h1>\n<p><code>{escape(name)}</code> is none of these pages.</p>\n"
    return frame(shelf, "There is no such page", text + listed)


def nearest(shelf: Shelf, name: str) -> list[Page]:
    """Up to three pages with names like that."""
    names = difflib.get_close_matches(name.lower()[:100], shelf.pages, n=3, cutoff=0.5)
    return [shelf.pages[one] for one in names]


def _contents(page: Page) -> str:
    """The table of contents; nothing for a page without headings."""
    items = "".join(
        f'<li class="level{one.level}"><a href="#{escape(one.anchor)}">{escape(one.text)}</a></li>\n'
        for one in page.headings
        if 1 < one.level <= DEEPEST
    )
    if not items:
        return ""
    return (
        f'<nav id="contents" aria-label="On this page">\n<h2>On this page</h2>\n<ul>\n{items}</ul>\n</nav>\n'
    )


def _list(shelf: Shelf, name: str) -> str:
    """The list of pages, that one marked as the one shown."""
    return "".join(
        f"<h2>{escape(group)}</h2>\n<ul>\n"
        + "".join(
            f'<li><a href="/docs/{page.name}"{_current(page.name == name)}>{escape(page.title)}</a></li>\n'
            for page in pages
        )
        + "</ul>\n"
        for group, pages in shelf.groups.items()
    )


def _current(is_current: bool) -> str:
    return ' aria-current="page"' if is_current else ""


def _marked(line: str) -> str:
    return escape(line).replace(BEGIN, "<mark>").replace(END, "</mark>")

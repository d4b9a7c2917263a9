"""The report of a command as a part of a page: the same sections and pictures, in our frame."""

import re
from collections.abc import Mapping
from html import escape
from string import Template

from aiohttp import web

from proxy.console.asking import POLICY, styled

PARTS = re.compile(r"<style>(?P<style>.*)</style>.*<body>(?P<body>.*)</body>", re.DOTALL)


def parts(html: str) -> tuple[str, str]:
    """The sections of a report, and its style for what is in `main` alone."""
    found = PARTS.search(html)
    assert found is not None  # every report of ours has both
    return _below(found["body"]), f"main {{{found['style']}}}"


def shown(
    document: Template,
    values: Mapping[str, str],
    answer: str,
    *,
    style: str = "",
    status: int = 200,
) -> web.Response:
    """A document with what it has places for, an answer, and leave for its style alone."""
    escaped = {name: escape(text, quote=True) for name, text in values.items()}
    text = document.substitute(escaped, answer=answer, style=style)
    response = web.Response(text=text, content_type="text/html", status=status)
    response.headers[POLICY] = styled(style)
    return response


def _below(answer: str) -> str:
    """An answer with its headings one level lower: the page has its own above them."""
    return re.sub(r"(</?h)([1-5])\b", lambda found: f"{found[1]}{int(found[2]) + 1}", answer)

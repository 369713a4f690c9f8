"""Pages beside the explorer's own that are a few lines of text."""

from __future__ import annotations

from markupsafe import Markup, escape

AGAIN = 2
"""Seconds after which a page of something under way is asked for again."""
PAGE = Markup(
    '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">{again}<title>{title}</title>'
    '<link rel="icon" href="data:,"><style>body {{ font: 15px/1.4 system-ui, sans-serif; '
    "margin: 24px; }} button {{ font: inherit; }}</style></head>"
    "<body><h1>{title}</h1>{body}</body></html>"
)


def bare_page(title: str, body: Markup | str, again: bool = False) -> str:
    """Returns a page; its text is escaped, unless it is markup.

    Args:
        title: Its title.
        body: What it says.
        again: Ask for it again after a moment.
    """
    refresh = Markup('<meta http-equiv="refresh" content="{}">').format(AGAIN) if again else ""
    return PAGE.format(title=title, body=escape(body), again=refresh)

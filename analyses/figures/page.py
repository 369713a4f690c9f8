"""The frame and the look of all pages: HTML files that need no network."""

from __future__ import annotations

from html import escape

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 1100px; margin: 2rem auto;
       padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-top: 2.5rem; }
table { border-collapse: collapse; font-size: .9rem; margin: 1rem 0; }
th, td { text-align: left; padding: .2rem .8rem .2rem 0; vertical-align: top; }
th { font-weight: 600; white-space: nowrap; } .number { text-align: right; white-space: nowrap; }
tr { border-bottom: 1px solid #e3e3e3; } .missing { color: #777; font-style: italic; }
summary { cursor: pointer; padding: .15rem 0; }
"""


def document(title: str, body: str, script: str = "", headed: bool = True) -> str:
    """Returns a page.

    Args:
        title: As plain text.
        body: HTML.
        script: What the body needs, in tags.
        headed: Whether the title is a heading too.
    """
    heading = f"<h1>{escape(title)}</h1>\n" if headed else ""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n{script}\n</head>\n"
        f"<body>\n{heading}{body}\n</body>\n</html>\n"
    )

"""HTML pages that need no network, from the templates in ``templates/``; plain text is escaped.

A page holds its figures as JSON and draws each when it comes near the window, so that it opens
as fast with thirty figures as with one (``templates/figures.js``). Plotly's own code is packed,
which makes a page half as large.
"""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from functools import cache
from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

CONFIG = {"displaylogo": False, "responsive": True, "showSendToCloud": False}
"""Plotly's buttons: without the one that uploads the figure to share it."""
HEIGHT = 450
"""Height of a figure that has none of its own [px]."""
_TEMPLATES = Environment(
    loader=PackageLoader("irl_lens.analyses.figures"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(template: str, **values: Any) -> str:
    """Returns a page.

    Args:
        template: Name of a file in ``templates/``, without its ending.
        **values: What it shows; text that is not :class:`markupsafe.Markup` is escaped.

    Raises:
        jinja2.UndefinedError: The template shows something that was not given.
    """
    return _TEMPLATES.get_template(f"{template}.html").render(**values)


def drawn(figure: go.Figure, name: str | None = None, **config: Any) -> Markup:
    """Returns a figure as an element of a page, which draws it; what moves waits to be played.

    Args:
        figure: The figure, as wide as the page where it has no width.
        name: The ``id`` of its element.
        **config: Settings of plotly's buttons and size.
    """
    layout = figure.to_dict()["layout"]
    size = f"height: {layout.get('height', HEIGHT)}px"
    size += f"; width: {layout['width']}px" if "width" in layout else ""
    settings = json.dumps(CONFIG | config, allow_nan=False)
    content = f'{{"figure": {figure.to_json()}, "config": {settings}}}'.replace("<", "\\u003c")
    named = Markup(' id="{}"').format(name) if name else ""
    return Markup(
        '<div class="figure"{} style="{}"><script type="application/json">{}</script></div>'
    ).format(named, size, Markup(content))


@cache
def plotly_code() -> Markup:
    """Returns plotly's own code, packed, for a page's ``plotly``."""
    return Markup(b64encode(gzip.compress(get_plotlyjs().encode(), mtime=0)).decode())

"""HTML pages that need no network, from the templates in ``templates/``; plain text is escaped."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

CONFIG = {"displaylogo": False, "showSendToCloud": False}
"""Plotly's buttons: without the one that uploads the figure to share it."""
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
    """Returns a figure as HTML, without plotly's own code; what moves waits to be played.

    Args:
        figure: The figure.
        name: The ``id`` of its element; a random one if not given.
        **config: Settings of plotly's buttons and size.
    """
    html = figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        auto_play=False,
        div_id=name,
        config=CONFIG | config,
    )
    return Markup(html)


def plotly_code() -> Markup:
    """Returns plotly's own code, for a page's ``plotly``."""
    return Markup(get_plotlyjs())

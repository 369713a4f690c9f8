"""Fields of the page: whole numbers, and choices of a few."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dash import dcc, html

Graph = Callable[[str, int | str, str], Any]


def number(name: str, value: Any) -> dcc.Input:
    """A field for a number.

    It has no limits: Dash sends nothing in place of what is beyond them, and what is beyond
    them is to be refused by name.
    """
    return dcc.Input(id=name, type="number", value=value, debounce=True, className="short")


def slider(
    name: str | dict[str, Any], said: str, low: float, high: float, value: float, **look: Any
) -> html.Div:
    """A slider, with what it is for said to screen readers.

    Args:
        name: Its id.
        said: What it is for.
        low: Its least value.
        high: Its largest value.
        value: Where it begins.
        **look: Further properties; its steps are 1, if they do not say.
    """
    look = {"step": 1, "marks": None} | look
    about: dict[str, Any] = {"data-name": said}
    return html.Div(dcc.Slider(low, high, value=value, id=name, **look), **about)


def radio(name: str, said: str, options: dict[str, str], value: str) -> html.Div:
    """A choice of a few, value by what is shown; what it is for is said to screen readers."""
    listed = [{"label": label, "value": key} for key, label in options.items()]
    about: dict[str, Any] = {"aria-label": said}
    items = dcc.RadioItems(listed, value, id=name, inline=True)
    return html.Div(items, role="radiogroup", **about)


def choice(name: str, options: list[Any], value: Any, said: str) -> html.Div:
    """A labelled list to choose from."""
    listed = dcc.Dropdown(options, value, id=name, clearable=False, className="pick")
    return html.Div([html.Label(said, htmlFor=name), listed], className="row")

"""Fields of the page: whole numbers, and choices of a few."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dash import dcc, html

Graph = Callable[[str, int | str, str], Any]


def number(name: str, value: Any, low: int, high: int) -> dcc.Input:
    """A field for a whole number."""
    return dcc.Input(
        id=name,
        type="number",
        value=value,
        min=low,
        max=high,
        step=1,
        debounce=True,
        className="short",
    )


def radio(name: str, options: dict[str, str], value: str) -> dcc.RadioItems:
    """A choice of a few, value by what is shown."""
    listed = [{"label": label, "value": key} for key, label in options.items()]
    return dcc.RadioItems(listed, value, id=name, inline=True)


def choice(name: str, options: list[Any], value: Any, said: str) -> html.Div:
    """A labelled list to choose from."""
    listed = dcc.Dropdown(options, value, id=name, clearable=False, className="pick")
    return html.Div([html.Label(said, htmlFor=name), listed], className="row")

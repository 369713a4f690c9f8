"""Pages escape what is plain text, hold figures as they are, and refuse to leave anything out."""

from __future__ import annotations

import plotly.graph_objects as go
import pytest
from jinja2 import UndefinedError

from irl_lens.analyses.figures.page import drawn, page


def test_text_is_escaped_and_figures_are_not() -> None:
    figure = drawn(go.Figure(go.Bar(y=[1])), "own-figure")
    values = {"figure": figure, "plotly": None, "more": "a&b.html"}
    text = page("result", title="<b>", caption="<script>alert(1)</script>", **values)
    assert "<title>&lt;b&gt;</title>" in text and 'href="a&amp;b.html"' in text
    assert "<script>alert" not in text and "&lt;script&gt;alert" in text
    assert '<div id="own-figure"' in text and "Plotly.newPlot(" in text
    assert text.startswith("<!DOCTYPE html>") and "<h1>" not in text


def test_a_page_without_all_of_its_values_is_refused() -> None:
    with pytest.raises(UndefinedError, match="caption"):
        page("result", title="", figure="", plotly=None, more=None)

"""Pages escape what is plain text, hold figures as they are, and refuse to leave anything out."""

from __future__ import annotations

import gzip
import json
import re
from base64 import b64decode

import plotly.graph_objects as go
import pytest
from jinja2 import UndefinedError
from plotly.offline import get_plotlyjs

from irl_lens.analyses.figures.page import drawn, page, plotly_code


def test_text_is_escaped_and_figures_are_not() -> None:
    figure = drawn(go.Figure(go.Bar(y=[1])), "own-figure")
    values = {"figure": figure, "plotly": None, "more": "a&b.html"}
    text = page("result", title="<b>", caption="<script>alert(1)</script>", **values)
    assert "<title>&lt;b&gt;</title>" in text and 'href="a&amp;b.html"' in text
    assert "<script>alert" not in text and "&lt;script&gt;alert" in text
    assert '<div class="figure" id="own-figure" style="height: 450px">' in text
    assert text.startswith("<!DOCTYPE html>") and "<h1>" not in text


def test_a_page_without_all_of_its_values_is_refused() -> None:
    with pytest.raises(UndefinedError, match="caption"):
        page("result", title="", figure="", plotly=None, more=None)


def test_a_figure_is_data_that_no_text_of_it_can_leave() -> None:
    figure = go.Figure(go.Scatter(y=[1.0, 2.0], name="</script><b>"))
    text = drawn(figure.update_layout(height=120, width=340), None, displayModeBar=False)
    (content,) = re.findall(r'<script type="application/json">(.*)</script>', text)
    held = json.loads(content)
    assert held["figure"]["data"][0]["name"] == "</script><b>"
    assert held["config"]["displayModeBar"] is False and held["config"]["showSendToCloud"] is False
    assert 'style="height: 120px; width: 340px"' in text and " id=" not in text


def test_plotly_s_code_is_packed_whole() -> None:
    assert gzip.decompress(b64decode(plotly_code())).decode() == get_plotlyjs()
    assert len(plotly_code()) < len(get_plotlyjs()) / 2

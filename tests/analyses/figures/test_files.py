"""Figures as files: pages without a button that uploads them, pictures in the size asked for."""

from __future__ import annotations

import struct
from pathlib import Path

import plotly.graph_objects as go
import pytest

import irl_lens
from irl_lens.analyses.figures import files
from irl_lens.analyses.figures.files import FigureFiles, picture
from irl_lens.analyses.figures.page import drawn
from irl_lens.errors import UserError
from irl_lens.runs.run import Run


def test_pages_have_no_button_that_uploads_the_figure() -> None:
    text = drawn(go.Figure(), displayModeBar=False)
    assert '"showSendToCloud": false' in text and '"displayModeBar": false' in text
    assert "https://" not in text and "http://" not in text


@pytest.mark.parametrize(
    ("formats", "size", "said"),
    [
        (("pdf",), None, "--format pdf: take html, png, svg"),
        ((), None, "--format: give"),
        (("html",), "900", "--size 900: give WIDTHxHEIGHT"),
        (("html",), "0x500", "from 100 to 10000"),
        (("html",), "900x99999", "from 100 to 10000"),
        (("html",), (-900, 500), "from 100"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    formats: tuple[str, ...], size: str | tuple[int, int] | None, said: str
) -> None:
    with pytest.raises(UserError, match=said):
        FigureFiles.of(formats, size)


@pytest.mark.parametrize("lacking", ["find_spec", "find_browser"])
def test_pictures_that_cannot_be_drawn_are_refused_before_the_work(
    smoke_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    there = {"find_spec": "kaleido", "find_browser": "browser"}
    for name in there:
        found = None if name == lacking else there[name]
        monkeypatch.setattr(files, name, lambda *_, found=found: found)
    with pytest.raises(UserError, match=r'no PNG: no (kaleido|Chrome).*"irl-lens\[figures\]"'):
        irl_lens.analyze(smoke_run, "belief", out=tmp_path / "out", formats=["png"])
    assert not (tmp_path / "out").exists()


def test_a_picture_that_fails_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plotly.io._kaleido._KALEIDO_AVAILABLE", False)
    with pytest.raises(UserError, match=r'no SVG: .*"irl-lens\[figures\]"'):
        picture(go.Figure(), "svg")


def test_a_page_has_the_size_asked_for(smoke_run: Run, tmp_path: Path) -> None:
    figure = go.Figure()
    assert FigureFiles.of(["html"], None).sized(figure) is figure
    assert FigureFiles.of(["html"], (640, 480)).sized(figure) != figure == go.Figure()
    irl_lens.analyze(smoke_run, "belief", out=tmp_path, size="640x480")
    page = (tmp_path / "belief.html").read_text()
    assert '"width":640' in page and '"height":480' in page


@pytest.mark.browser
def test_pictures_have_the_size_asked_for(smoke_run: Run, tmp_path: Path) -> None:
    formats, size = ("svg", "png"), (640, 480)
    irl_lens.analyze(smoke_run, "belief", out=tmp_path, formats=formats, size=size)
    png = (tmp_path / "belief.png").read_bytes()
    assert png.startswith(b"\x89PNG") and struct.unpack(">II", png[16:24]) == (1280, 960)
    svg = (tmp_path / "belief.svg").read_text()
    assert 'width="640" height="480"' in svg and svg.startswith("<svg")
    assert (tmp_path / "belief.csv").exists()
    assert not (tmp_path / "belief.html").exists()

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from irl_lens.analyses.core.result import Result, page, read_arrays, write
from irl_lens.analyses.stats.estimates import Estimate


@dataclass(frozen=True)
class Part:
    values: np.ndarray


@dataclass(frozen=True)
class Example(Result):
    score: Estimate
    parts: tuple[Part, ...]
    by_layer: dict[int, np.ndarray]
    name: str = "a name"

    def figure(self) -> go.Figure:
        return go.Figure().add_scatter(y=[1, 2])

    def to_dataframe(self) -> pd.DataFrame:
        return pd.DataFrame([self.score.columns("score")])

    def caption(self) -> str:
        return f"The score is {self.score.value}."


class Longer(Example):
    def pages(self) -> dict[str, bytes]:
        return {"first.html": b"one", "second.js": b"two"}


@pytest.fixture
def example() -> Example:
    parts = Part(np.arange(3)), Part(np.eye(2))
    return Example(Estimate(0.5, 0.4, 0.6), parts, {2: np.zeros((2, 0))})


def test_saving_keeps_every_number(example: Example, tmp_path: Path) -> None:
    file = example.save(tmp_path / "deep" / "example.v1")
    assert file.name == "example.v1.json"
    content = json.loads(file.read_text())
    assert content["score"] == {"value": 0.5, "low": 0.4, "high": 0.6}
    assert (content["name"], content["caption"]) == ("a name", "The score is 0.5.")
    arrays = read_arrays(tmp_path / "deep" / "example.v1")
    assert np.array_equal(arrays[content["parts"][1]["values"]["array"]], np.eye(2))
    assert arrays[content["by_layer"]["2"]["array"]].shape == (2, 0)
    assert len(arrays) == 3


def test_what_cannot_be_saved_is_an_error(example: Example, tmp_path: Path) -> None:
    odd = Example(example.score, (), {}, name=object())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="not JSON serializable"):
        odd.save(tmp_path / "odd")
    assert not list(tmp_path.iterdir())


def test_further_pages_are_written_beside_and_linked(example: Example, tmp_path: Path) -> None:
    write(example, tmp_path / "plain", "Plain")
    assert {file.suffix for file in tmp_path.iterdir()} == {".html", ".csv", ".json", ".npz"}
    longer = Longer(example.score, example.parts, example.by_layer)
    write(longer, tmp_path / "long", "Long")
    assert (tmp_path / "long" / "first.html").read_bytes() == b"one"
    assert (tmp_path / "long" / "second.js").read_bytes() == b"two"
    assert '<a href="long/first.html">' in (tmp_path / "long.html").read_text()
    assert "<a href" not in (tmp_path / "plain.html").read_text()


def test_a_page_needs_no_network(example: Example) -> None:
    html = page(example, "Example")
    assert "The score is 0.5." in html and "<title>Example</title>" in html
    assert '<script src="http' not in html and "plotly" in html


def test_what_a_result_claims_is_its_captions_first_sentence_unless_it_says_more(
    example: Example,
) -> None:
    (claim,) = example.claims()
    assert claim.sentence == example.caption() and np.isnan(claim.p)

"""Boards are drawn where things are, and arrows where actions lead."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from irl_lens.analyses.figures.board import (
    DIVERGING,
    MORE,
    SEQUENTIAL,
    boards,
    draw_field,
    draw_occupancies,
    draw_paths,
    draw_scene,
    draw_values,
)
from irl_lens.analyses.figures.board_traces import FAINT, LENGTH, arrows, disc
from irl_lens.envs.scenes import Move, Scene, Thing

MOVES = Move("up", 0, -1), Move("right", 1, 0)
SCENE = Scene(
    width=3,
    height=2,
    things=(Thing("cheese", "c", 1, "#E69F00", False), Thing("rock", "", 5, "#464646", True)),
    agent=3,
    moves=MOVES,
)


def test_every_place_is_drawn_in_the_color_of_what_lies_there() -> None:
    figure: Any = boards(SCENE, ["one", "two"], "boards")
    draw_scene(figure, SCENE, 1, 2)
    tiles = figure.data[0]
    span = tiles.zmax - tiles.zmin
    share = (np.ravel(tiles.z) - tiles.zmin) / span
    shown = [[color for at, color in tiles.colorscale if at < here][-1] for here in share]
    assert shown[1] == "#E69F00" and shown[5] == "#464646" and len({*shown}) == 3
    assert np.ravel(tiles.customdata).tolist() == list(range(6))
    assert tiles.text[0][1] == "row 0, column 1, cheese"
    assert {trace.xaxis for trace in figure.data} == {"x2"}
    assert figure.layout.yaxis2.scaleanchor == "x2" and figure.layout.yaxis2.range == (1.5, -0.5)
    agent: Any = disc(SCENE)
    assert np.mean(agent.x[:-1]) == pytest.approx(0) and np.mean(agent.y[:-1]) == pytest.approx(1)


def test_arrows_lead_where_actions_do_and_are_as_long_as_probable() -> None:
    probabilities = np.full((6, 2), np.nan)
    probabilities[4] = [FAINT / 2, 0.75]
    probabilities[0] = [0.5, -0.5]
    trace: Any = arrows(SCENE, probabilities)
    tips = [(trace.x[i + 1], trace.y[i + 1]) for i in range(0, len(trace.x), 5)]
    assert tips == [(0, -LENGTH * 0.5), (1 + LENGTH * 0.75, 1)]


def test_arrows_want_moves_and_all_places() -> None:
    still = Scene(3, 2, (), 0)
    for scene, shape in ((still, (6, 0)), (SCENE, (5, 2)), (SCENE, (6, 4))):
        with pytest.raises(ValueError, match=r"probabilities of shape .*; the board has 6 places"):
            draw_field(boards(scene, ["one"], ""), scene, np.zeros(shape))


def test_paths_end_before_there_is_no_place() -> None:
    figure: Any = boards(SCENE, ["one"], "")
    draw_scene(figure, SCENE)
    draw_paths(figure, SCENE, [np.array([3, 0, 1, -1]), np.array([3])], names=["a", "b"])
    first, second = figure.data[-2:]
    assert len(first.x) == 3 and len(second.x) == 1 and first.name == "a"
    assert first.x[0] != second.x[0] and round(first.x[0]) == round(second.x[0]) == 0
    assert first.marker.symbol == ("circle-open", "circle", "circle")


def test_differences_are_signed_and_share_a_scale() -> None:
    before, after = np.zeros(6), np.zeros(6)
    before[0], after[3], after[4] = 1, 0.5, np.nan
    figure: Any = boards(SCENE, ["before", "after", "difference"], "")
    draw_occupancies(figure, SCENE, before, after, (1, 2, 3))
    maps = [trace for trace in figure.data if trace.type == "heatmap"]
    assert maps[0].zmax == maps[1].zmax == 1 and maps[2].zmin == -1
    assert np.ravel(maps[2].z)[:4].tolist() == [-1, 0, 0, 0.5]
    assert [bool(trace.showscale) for trace in maps] == [False, False, True]
    assert maps[2].colorbar.title.text == MORE
    own, less_and_more = SEQUENTIAL[-1][1], {colour for _, colour in DIVERGING}
    assert maps[0].colorscale[-1][1] == own and own not in less_and_more
    solid, marks = (trace for trace in figure.data[-2:])
    assert solid.xaxis == "x3" and solid.fillcolor == "#464646"
    assert np.nanmin(solid.x) == 1.5 and np.nanmax(solid.y) == 1.5
    assert marks.text == ("c",) and marks.marker.color == ("#E69F00",)
    draw_values(figure, SCENE, np.zeros(6), 1, 1)
    assert figure.data[-3].zmax == 1
    assert json.loads(figure.to_json())


def test_exact_paths_are_drawn_where_they_are() -> None:
    scene = Scene(3, 2, (), 4, exact=(1.25, 0.75))
    figure = go.Figure()
    draw_scene(figure, scene)
    walked = np.array([[0.0, 0.1], [1.3, 0.6], [np.nan, np.nan]])
    draw_paths(figure, scene, [walked, walked + 0.1])
    drawn: Any = figure.data[-3:]
    disc, one, other = [(np.array(trace.x), np.array(trace.y)) for trace in drawn]
    assert [part[:-1].mean() for part in disc] == pytest.approx([1.25, 0.75])
    assert one[0].tolist() == [0, 1.3] and one[1].tolist() == [0.1, 0.6]
    np.testing.assert_allclose(other[0], [0.1, 1.4])

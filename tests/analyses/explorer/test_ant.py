"""The explorer on a body: an ant's walk is seen, edited, patched, steered and forked."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
import torch
from plotly.utils import PlotlyJSONEncoder

from irl_lens.analyses.explorer import Explorer, State, export, figures, fork_figures, sentences
from irl_lens.analyses.explorer.actions import action_array, no_action, plain_actions
from irl_lens.analyses.explorer.opening import opening
from irl_lens.analyses.explorer.patching import Spot, contrast, patched
from irl_lens.analyses.explorer.reading_figures import readings, shift
from irl_lens.analyses.explorer.web.page import page
from irl_lens.analyses.explorer.workbench import Workbench
from irl_lens.envs.ant.retracing import bodies
from irl_lens.envs.ant.situation import AntSituation
from irl_lens.envs.spaces import ContinuousActions
from irl_lens.errors import NotOffered, UserError
from tests.analyses.explorer.ant_explorer import ant_run, edited, free, serving, small
from tests.analyses.explorer.test_server import viewed


@pytest.fixture(scope="module")
def workbench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    return small(ant_run(tmp_path_factory.mktemp("ant") / "run"))


@pytest.fixture(scope="module")
def begun(workbench: Workbench) -> State:
    return edited(workbench)


@pytest.fixture
def session(workbench: Workbench, begun: State) -> Explorer:
    return Explorer(workbench, begun)


def traces(figure: go.Figure) -> tuple[Any, ...]:
    return figure.data  # type: ignore[return-value]


def test_the_arena_is_seen_from_above_at_every_step(session: Explorer) -> None:
    trail = session.trail()
    assert len(trail) == len(session.state.walk) > session.state.step > 0
    for step in (0, session.state.step, len(trail) - 1):
        session.set(step=step)
        scene = figures.scene_of(session)
        assert scene.point == tuple(trail[step]) and scene.agent == session.state.walk[step]
        column, row = np.rint(trail[step]).astype(int)
        assert row * scene.width + column == scene.agent
        disc = next(t for t in traces(figures.world(session, "clean")) if t.name == "agent")
        assert np.mean(disc.x[:-1]) == pytest.approx(trail[step, 0])
    figure = figures.world(session, "edited", picked="wall0")
    assert len(figure.layout["shapes"]) == 2  # what is in the hand, and what was moved


def test_things_and_the_wall_are_edited_and_the_body_walks_on_as_it_was(session: Explorer) -> None:
    before = session.state
    session.put("wall0", before.edited["places"]["colour0"])
    there = session.state.edited["places"]
    assert there["colour0"] == before.edited["places"]["wall0"]
    assert session.state.clean == before.clean and session.state.actions == before.actions
    both = [
        session.workbench.retraced(plain, before.walk, before.actions).observations[0]
        for plain in (session.state.clean, session.state.edited)
    ]
    names = session.workbench.world.observation.column_names
    seen = {names[i] for i in np.flatnonzero((both[0] != both[1]).any(axis=0))}
    arena = {name for name in names if name.startswith(("0_", "1_", "wall0_", "way", "near", "on"))}
    assert {"0_cell", "wall0_cell", "way0_x"} <= seen <= arena
    assert session.undo().state == before


def test_the_ant_and_the_task_are_edited_on_both_and_walked_anew(session: Explorer) -> None:
    place = free(session.workbench, session.state)[0]
    session.put("agent", place)
    clean, other = session.state.clean, session.state.edited
    assert session.state.walk[0] == place == clean["places"]["agent"] == other["places"]["agent"]
    assert clean["stance"] == other["stance"]
    session.ask("10").walk("model")
    assert session.state.clean["task"] == ["1", "0"]
    seen = session.workbench.retraced(clean, session.state.walk, session.state.actions)
    there = session.workbench.boards.places(seen.observations[0])
    assert tuple(there.tolist()) == session.state.walk


def test_torques_are_kept_to_the_bit(session: Explorer) -> None:
    spec = session.workbench.actions
    drawn = np.random.default_rng(0).standard_normal((50, 8)).astype(np.float32)
    again = json.loads(json.dumps(plain_actions(drawn)))
    assert (action_array(spec, [tuple(action) for action in again]) == drawn).all()
    assert no_action(spec) == (0.0,) * 8
    assert State.of_plain(json.loads(json.dumps(session.state.plain()))) == session.state


def test_readings_are_means_with_deviations_and_beliefs(session: Explorer) -> None:
    read, workbench = session.readings(), session.workbench
    runs = contrast(workbench, session.state)
    head = workbench.loaded.base.action_head
    for name, seen in (("clean", runs.pairs.clean), ("edited", runs.pairs.corrupted)):
        outputs = workbench.model(torch.from_numpy(seen), return_type="logits")[0, -1]
        found = (*read[name].actions, *(read[name].deviations or ()))
        assert found == pytest.approx(head.policy(outputs).tolist(), abs=1e-5)
        assert sum(read[name].bayes or ()) == pytest.approx(1)
    assert read["clean"].kl == 0 < read["edited"].kl
    bars = next(trace for trace in traces(readings(session)) if trace.type == "bar")
    assert list(bars.x) == list(workbench.world.actions.labels)
    assert tuple(bars.error_y.array) == read["clean"].deviations
    assert "nats (KL) from the clean one" in sentences.moved(session)
    assert "gate" not in sentences.trained(session)


def test_the_map_measures_the_way_of_the_mean(session: Explorer, monkeypatch) -> None:
    whole = session.sweep()
    assert (whole.why, whole.since) == (None, 0) and whole.clean > whole.edited
    assert whole.shares[-1, -1] == pytest.approx(1, abs=1e-3)
    assert "how far is the mean on the way of the edit" in sentences.question(session)
    monkeypatch.setattr("irl_lens.analyses.explorer.patching.SWEPT", 5)
    last = Explorer(session.workbench, session.state)
    assert last.sweep().since == session.state.step - 4
    np.testing.assert_allclose(last.sweep().effects, whole.effects[:, -5:], atol=1e-5)
    assert "left out" in sentences.question(last)
    last.patch(1, 0)
    drawn = figures.heat_map(last, last.sweep())
    assert min(traces(drawn)[0].x) == last.sweep().since and not drawn.layout["shapes"]
    assert min(export.data(last, "patch")["step"]) == last.sweep().since


def test_a_patch_of_everything_is_the_clean_run(session: Explorer) -> None:
    session.patch(layer=1, step=0, component="residual pre", held=True)
    runs = contrast(session.workbench, session.state)
    outputs, _ = patched(session.workbench, session.state, runs)
    clean = session.workbench.model(torch.from_numpy(runs.pairs.clean), return_type="logits")[0]
    torch.testing.assert_close(outputs, clean, atol=1e-5, rtol=1e-5)
    assert session.readings()["patched"].kl == pytest.approx(0, abs=1e-6)


def test_a_held_patch_takes_the_body_where_it_goes_on_the_clean_board(session: Explorer) -> None:
    """The clean run beside the roll-outs sees their bodies in its own arena."""
    step, layers = session.state.step, range(1, session.workbench.layers + 1)
    spots = tuple(Spot("residual post", layer, step, held=True) for layer in layers)
    alone = session.rollouts()
    out = Explorer(session.workbench, replace(session.state, spots=spots)).rollouts(patches=True)
    clean = Explorer(session.workbench, replace(session.state, side="clean")).rollouts()
    n = min(out.trail.shape[1], clean.trail.shape[1], step + 6)
    np.testing.assert_allclose(out.trail[:, :n], clean.trail[:, :n], atol=1e-3)
    assert np.nanmax(np.abs(alone.trail[:, :n] - clean.trail[:, :n])) > 2e-3
    np.testing.assert_array_equal(alone.trail, session.rollouts(steered=True).trail)


@pytest.mark.parametrize("kind", ["controller", "code"])
def test_the_shift_is_what_steering_does_to_the_first_torques(session: Explorer, kind: str) -> None:
    workbench, step = session.workbench, session.state.step
    assert "Nothing steers" in sentences.steered(session)
    code = tuple(workbench.switch_codes.codes[0].tolist())
    name = workbench.banks[1].names[0]
    values = {"layer": 1, "name": name, "strength": 50.0} if kind == "controller" else {}
    session.steer(kind=kind, code=code, **values)
    alone, steered = session.rollouts(), session.rollouts(steered=True)
    found = session.shift()
    first = [out.actions[:, step] for out in (alone, steered)]
    means, deviations = (
        [np.array(getattr(found[who], part)) for who in ("alone", "steered")]
        for part in ("actions", "deviations")
    )
    assert (alone.trail[:, : step + 1] == steered.trail[:, : step + 1]).all()
    assert np.abs(means[0] - means[1]).max() > 1e-3 and found["steered"].kl > 0
    noise = [(a - m) / d for a, m, d in zip(first, means, deviations, strict=True)]
    np.testing.assert_allclose(noise[0], noise[1], atol=1e-2)
    assert [trace.name for trace in traces(shift(session))] == ["alone", "steered"]
    assert "steering moves the next action" in sentences.steered(session)
    assert set(export.data(session, "steer").columns) >= {"column", "row", "place"}


def test_roll_outs_and_forks_take_the_body_along_to_the_bit(session: Explorer) -> None:
    workbench, state = session.workbench, session.state
    out = session.rollouts()
    situation = workbench.situation(state.edited)
    assert isinstance(situation, AntSituation)

    def body(actions):
        taken = action_array(workbench.actions, [*actions, no_action(workbench.actions)])
        return bodies(situation.world.settings.physics, situation.body, taken)

    for row in range(2):
        path, actions = out.walked(row)
        points = situation.world.arena.points(body(actions)[0][:, :2])
        np.testing.assert_array_equal(points, out.trail[row, : len(path)])
    session.fork()
    (parent,) = session.state.branches
    later = parent.fork + (len(parent.path) - parent.fork) // 2
    session.fork(step=later, parent=1).fork(step=later, parent=1, seed=7)
    same, other = session.state.branches[1:]
    assert same.actions == parent.actions and same.path == parent.path
    assert other.actions[:later] == parent.actions[:later] != other.actions
    for mine, its in zip(body(other.actions), body(parent.actions), strict=True):
        np.testing.assert_array_equal(mine[: later + 1], its[: later + 1])
    figure = fork_figures.compared(session, [1, 3], len(parent.path))
    lines = [trace for trace in traces(figure) if (trace.name or "").startswith("branch")]
    np.testing.assert_allclose(lines[0].x, out_points(session, 1)[parent.fork :, 0], atol=1e-6)
    session.open_branch(1)
    assert session.state.walk == parent.path[:-1] and session.state.actions == parent.actions
    assert len(session.trail()) == len(parent.path) - 1


def out_points(session: Explorer, number: int) -> np.ndarray:
    found = next(b for b in session.state.branches if b.number == number)
    return session.workbench.trail(session.state.edited, found.path, found.actions)


def test_what_makes_no_sense_says_so(session: Explorer) -> None:
    assert isinstance(session.workbench.actions, ContinuousActions)
    said = "actions of 8 numbers from -1 to 1"
    assert f"There are no arrows: {said}" in sentences.no_arrows(session)
    assert sentences.not_asked(session).startswith(f"A{said[1:]}: no two are asked about")
    with pytest.raises(NotOffered, match="where actions lead from every place needs"):
        session.fields()
    names = [trace.name for trace in traces(figures.effects(session, "arrows", None, None))]
    assert names.count("agent") == 3 and "actions" not in names


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"why": 0}, "have no numbers"),
        ({"metric": "logit difference"}, "there are mean action"),
        ({"actions": (0,)}, "give as many"),
        ({"walk": (0,), "actions": (0,), "step": 0}, "take 8 numbers"),
        ({"walk": (0,), "actions": ((0.0,) * 7,), "step": 0}, "take 8 numbers"),
        ({"walk": (0,), "actions": ((float("nan"),) * 8,), "step": 0}, "take 8 numbers"),
        ({"walk": (-2,), "actions": ((0.0,) * 8,), "step": 0}, "from -1 to 8"),
    ],
)
def test_nonsense_is_refused_and_the_state_stays(session: Explorer, wrong, said: str) -> None:
    before = session.state
    with pytest.raises(UserError, match=said):
        session.set(**wrong)
    assert session.state is before


def test_a_snippet_makes_the_state_again(session: Explorer) -> None:
    session.patch(1, session.state.step, held=True)
    names: dict[str, Any] = {}
    exec(export.snippet(session).split("# Where agents go")[0], names)
    assert names["session"].state == session.state
    runs = contrast(session.workbench, session.state)
    assert torch.equal(names["logits"][0], patched(session.workbench, session.state, runs)[0])


def test_the_page_is_drawn_and_says_what_there_is_not(
    session: Explorer, workbench: Workbench
) -> None:
    served = serving(workbench, session.state)
    try:
        shown = json.dumps(page(session, "key", {"ant": "ant"}, "ant"), cls=PlotlyJSONEncoder)
        assert sentences.not_asked(session) in shown and "logit difference" not in shown
        key = served.sessions.new()
        opened, _ = served.sessions.get(key)
        opened.set(rows=1)  # all is there before it is asked for: else the page shows progress
        for patches, steered in ((False, False), (True, False), (False, True)):
            opened.rollouts(patches, steered)
        for view, given, said in (
            ("readings", {}, "nats (KL) from the clean one"),
            ("map", {"tab": "patch"}, "on the way of the edit"),
            ("effects", {"tab": "patch", "look": "arrows"}, "There are no arrows"),
            ("steered", {"tab": "steer", "look-steer": "paths"}, "Nothing steers"),
            ("compared", {"tab": "fork", "compare": [], "replay": 0}, "Choose two branches"),
        ):
            status, text = viewed(served, key, view, given)
            assert status == 200 and said in text, text[:300]
    finally:
        served.close()


def test_it_opens_on_a_thing_at_a_free_place(workbench: Workbench, monkeypatch) -> None:
    monkeypatch.setattr("irl_lens.analyses.explorer.opening.EPISODES", 6)
    monkeypatch.setattr("irl_lens.analyses.explorer.opening.effects", lambda *_: 1.0)
    state = opening(workbench)
    before, after = state.clean["places"], state.edited["places"]
    moved = [name for name in before if before[name] != after[name]]
    assert len(moved) == 1 and after[moved[0]] not in before.values()
    assert state.metric == "mean action"

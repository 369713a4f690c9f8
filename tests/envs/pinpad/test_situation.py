"""A board as a value: drawn, edited, played, walked through and acted in."""

from __future__ import annotations

import json

import numpy as np
import pytest

from irl_lens.envs.pinpad.planner import move_table
from irl_lens.envs.pinpad.render import PIXELS
from irl_lens.envs.pinpad.situation import PinpadSituation
from irl_lens.envs.pinpad.world import PinpadWorld
from irl_lens.envs.registry import GRID, SMALL_GRID
from irl_lens.envs.scenes import AGENT, Situation, Stageable


@pytest.fixture(scope="module")
def world() -> PinpadWorld:
    return PinpadWorld(GRID)


@pytest.fixture(scope="module")
def situation(world: PinpadWorld) -> PinpadSituation:
    return world.situation(seed=3)


def test_it_is_what_is_asked_of_it(world: PinpadWorld, situation: PinpadSituation) -> None:
    assert isinstance(world, Stageable) and isinstance(situation, Situation)
    assert situation.solvable and situation.task in world.grammar.train


@pytest.mark.parametrize("task", ["train", "heldout", (2, 0)])
@pytest.mark.parametrize("config", [GRID, SMALL_GRID])
def test_trajectories_give_back_board_and_task(config, task) -> None:
    world = PinpadWorld(config)
    shown = world.demonstrate(20, seed=5, task=task)
    for row, found in enumerate(world.situations(shown)):
        assert found.task in world.tasks(task)
        if task == "train":
            assert found.task == world.grammar.train[shown.require("tasks")[row]]
        assert found.cells[:-1] == tuple(shown.extras["objects"][row])
        assert (
            found.cells[-1]
            == shown.extras["start"][row]
            == world.places(shown.observations)[row, 0]
        )


def test_the_expert_does_the_task_on_the_board(world: PinpadWorld) -> None:
    shown = world.demonstrate(8, seed=9, task="heldout")
    for row, situation in enumerate(world.situations(shown)):
        again = situation.demonstrate(seed=1)
        # Shortest paths differ, their length does not.
        assert again.lengths[0] == shown.lengths[row]
        assert (
            again.require("tasks")[0] == -1
            and again.require("visits")[0, -1] == world.grammar.colours((1,))[-1]
        )
        assert world.situations(again) == [situation]


def test_an_agent_that_walks_sees_what_the_expert_saw(world: PinpadWorld) -> None:
    shown = world.demonstrate(6, seed=2)
    for row, situation in enumerate(world.situations(shown)):
        steps = shown.lengths[row]
        seen = situation.watch(world.places(shown.observations[row : row + 1, :steps]))
        assert np.array_equal(seen[0], shown.observations[row, :steps])


def test_a_jump_looks_like_standing_still(situation: PinpadSituation) -> None:
    here, there = situation.cells[-1], situation.scene().standing[-1]
    jumped, stood = situation.watch(np.array([[here, there], [there, there]]))
    assert np.array_equal(jumped[1], stood[1])


def test_edits_change_what_they_name_and_nothing_else(situation: PinpadSituation) -> None:
    first, second = situation.names[:2]
    free = next(p for p in situation.scene().standing if p not in situation.cells)
    moved = situation.moved(first, free)
    assert moved.cells[0] == free and moved.cells[1:] == situation.cells[1:]
    swapped = situation.swapped(first, AGENT)
    assert (swapped.cells[0], swapped.cells[-1]) == (situation.cells[-1], situation.cells[0])
    assert swapped.swapped(AGENT, first) == situation
    assert (
        situation.asked((0, 1)).task == (0, 1) and situation.asked((0, 1)).cells == situation.cells
    )
    with pytest.raises(ValueError, match=rf"{first} at place .* something else"):
        situation.moved(first, situation.scene().things[1].place)
    with pytest.raises(ValueError, match="nothing is called 'cheese'"):
        situation.swapped("cheese", second)
    with pytest.raises(ValueError, match="place 49; take one from 0 to 48"):
        situation.moved(AGENT, 49)
    with pytest.raises(ValueError, match="names subgoal 9"):
        situation.asked((0, 9))


def test_the_scene_shows_everything_where_it_is(situation: PinpadSituation) -> None:
    scene = situation.scene()
    assert [thing.place for thing in scene.things] == list(situation.cells[:-1])
    assert scene.agent == situation.cells[-1] and situation.scene(agent=5).agent == 5
    assert [thing.label for thing in scene.things] == [*map(str, range(8)), *[""] * 4]
    assert len({thing.color for thing in scene.things}) == 9
    solid = {thing.place for thing in scene.things if thing.solid}
    assert len(solid) == 4 and set(scene.standing) == set(range(49)) - solid
    x, y = scene.xy(np.array([0, 8, 48]))
    assert x.tolist() == [0, 1, 6] and y.tolist() == [0, 1, 6]


def test_moves_lead_where_the_dynamics_do(situation: PinpadSituation) -> None:
    scene = situation.scene()
    centre = 24
    x, y = scene.xy(centre)
    reached = [(y + move.dy) * scene.width + x + move.dx for move in scene.moves]
    assert reached == move_table(scene.width)[centre].tolist()
    assert [move.name for move in scene.moves] == ["up", "right", "down", "left"]


def test_pixels_show_the_scene(situation: PinpadSituation) -> None:
    frame, size = situation.pixels(), PIXELS
    assert frame.shape == (7 * size, 7 * size, 3)
    for thing in situation.scene().things:
        y, x = divmod(thing.place, 7)
        corner = frame[y * size + 2, x * size + 2]
        assert "#{:02x}{:02x}{:02x}".format(*corner) == thing.color
    assert np.array_equal(situation.pixels(at=situation.scene().point), frame)


def test_plain_values_go_there_and_back(world: PinpadWorld, situation: PinpadSituation) -> None:
    plain = json.loads(json.dumps(situation.plain()))
    assert world.stage(plain) == situation
    for broken, said in (
        ({"places": {}, "task": ["A"]}, "give one of each of"),
        ({**plain, "task": ["Z"]}, "subgoals out of A, B, C, D"),
        ({**plain, "places": {**plain["places"], AGENT: -1}}, "take one from 0"),
    ):
        with pytest.raises(ValueError, match=said):
            world.stage(broken)


def test_a_task_that_cannot_be_done_is_not_played(world: PinpadWorld) -> None:
    found = (world.situation(seed).asked((0, 1, 2, 3, 0, 1)) for seed in range(200))
    hopeless = next(situation for situation in found if not situation.solvable)
    with pytest.raises(ValueError, match="ABCDAB cannot be done here within 100 steps"):
        hopeless.demonstrate(seed=0)


def test_all_rows_are_on_the_board(world: PinpadWorld, situation: PinpadSituation) -> None:
    start = situation.watch(np.array([[situation.cells[-1]]]))[0, 0]
    for rows in (situation.rows(3), situation.roaming(3)):
        for seed in (0, 1):
            observations, info = rows.reset(seed=seed)
            assert (observations == start).all()
    shown = situation.demonstrate(seed=4)
    env = situation.rows(2)
    _, info = env.reset(seed=7)
    assert (info["subgoal"] == situation.task[0]).all()
    for t in range(shown.lengths[0]):
        observation, reward, *_ = env.step(shown.actions[[0, 0], t])
        if t + 1 < shown.lengths[0]:
            assert np.array_equal(observation, shown.observations[[0, 0], t + 1])
    assert np.all(reward == 1)


def test_a_filter_believes_of_a_walk_retraced_what_it_does_of_the_walk(
    world: PinpadWorld, situation: PinpadSituation
) -> None:
    shown = situation.demonstrate(7)
    again = situation.retraced(world.places(shown.observations[0]), shown.actions[0])
    assert (again.observations == shown.observations).all()
    assert np.allclose(
        world.floor(again).require("subgoals"), world.floor(shown).require("subgoals")
    )


def test_agents_that_roam_are_seen_on_another_board(world: PinpadWorld) -> None:
    one, other = world.situation(seed=0), world.situation(seed=1)
    env = one.roaming(3)
    seen, _ = env.reset(seed=0)
    for step in range(6):
        assert (world.seen_in(one, env) == seen).all()
        there = np.maximum(env.path, 0)
        assert (world.seen_in(other, env) == other.watch(there)[:, -1]).all()
        seen, *_ = env.step(np.full(3, step % 4))

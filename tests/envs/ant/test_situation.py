"""An ant's arena as a value: drawn, edited, played and acted in."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from irl_lens.envs.ant.situation import AntSituation
from irl_lens.envs.ant.spec import AntConfig
from irl_lens.envs.ant.world import AntWorld
from irl_lens.envs.contracts import ask
from irl_lens.envs.pinpad.render import AGENT as DISC
from irl_lens.envs.pinpad.render import PIXELS
from irl_lens.envs.scenes import AGENT, Placeable, Situation, Stageable, Steppable, Walkable
from irl_lens.errors import NotOffered, UserError


@pytest.fixture(scope="module")
def world() -> AntWorld:
    # What is recorded is what was done: nobody goes astray.
    return AntWorld(AntConfig(size=3, horizon=300))


@pytest.fixture(scope="module")
def shown(world: AntWorld):
    return world.demonstrate(3, seed=4)


@pytest.fixture(scope="module")
def situation(world: AntWorld, shown) -> AntSituation:
    return world.situations(shown)[0]


def test_it_is_what_is_asked_of_it(world: AntWorld, situation: AntSituation) -> None:
    assert isinstance(world, Stageable) and isinstance(situation, Situation)
    # Its actions lead to no place, and no place tells what is seen.
    assert not isinstance(world, Walkable) and not isinstance(situation, Steppable)
    assert situation.solvable and not situation.scene().moves


def test_trajectories_give_back_arena_start_and_task(world: AntWorld, shown) -> None:
    for row, found in enumerate(world.situations(shown)):
        assert found.task == world.grammar.train[shown.require("tasks")[row]]
        assert found.cells == (*shown.extras["objects"][row], shown.extras["start"][row])
        assert found.cells[-1] == world.places(shown.observations)[row, 0]
        np.testing.assert_allclose(found.start, world.points(shown.observations)[row, 0], atol=1e-6)


def test_ants_begin_where_it_says_and_see_what_the_expert_saw(world, shown, situation) -> None:
    first = shown.observations[0, 0]
    for rows in (situation.rows(2), situation.roaming(2)):
        for seed in (0, 1):
            np.testing.assert_allclose(
                rows.reset(seed=seed)[0], first[None].repeat(2, 0), atol=1e-4
            )
    env = situation.rows(1)
    _, info = env.reset(seed=0)
    assert info["subgoal"] == situation.task[0]
    for step in range(5):
        seen, *_ = env.step(shown.actions[:1, step].astype(np.float64))
    np.testing.assert_allclose(seen[0], shown.observations[0, 5], atol=1e-2)


def test_the_expert_does_the_task_there(world, shown, situation) -> None:
    again = situation.demonstrate(seed=1)
    assert world.situations(again)[0].cells == situation.cells
    assert again.require("tasks")[0] == shown.require("tasks")[0]
    other = situation.asked((0, 1))
    assert other.demonstrate(seed=1).require("tasks")[0] == -1


def test_it_is_played_with_the_world_s_own_gait(situation: AntSituation) -> None:
    other = AntWorld(replace(situation.world.settings, gait="elsewhere.safetensors"))
    elsewhere = AntSituation(other, situation.cells, situation.task, situation.stance)
    with pytest.raises(UserError, match=r"no gait can be read from elsewhere\.safetensors"):
        elsewhere.demonstrate(0)


def test_edits_change_what_they_name_and_keep_the_stance(situation: AntSituation) -> None:
    free = next(p for p in range(9) if p not in situation.cells)
    moved = situation.moved(AGENT, free)
    assert moved.cells == (*situation.cells[:-1], free) and moved.stance == situation.stance
    seen = [each.rows(1).reset(seed=0)[0][0] for each in (situation, moved)]
    body = np.arange(27) + len(situation.cells) - 1  # after the cells of objects
    np.testing.assert_allclose(seen[0][body], seen[1][body], atol=1e-6)
    assert np.abs(np.delete(seen[0] - seen[1], body)).max() > 0.3
    swapped = situation.swapped("colour0", "wall0")
    assert (
        swapped.cells[0] == situation.cells[4] and swapped.swapped("wall0", "colour0") == situation
    )
    with pytest.raises(ValueError, match="something else"):
        situation.moved("colour0", situation.cells[1])


def test_a_task_without_a_path_is_not_played(world: AntWorld) -> None:
    stance = world.situation(0).stance
    # Colours 1 to 3 wall colour 0 in, in its corner.
    hopeless = AntSituation(world, (0, 1, 3, 4, 5, 8), (0,), stance)
    assert not hopeless.solvable
    with pytest.raises(ValueError, match="no path for the task 0 here"):
        hopeless.demonstrate(seed=0)


def test_the_scene_and_its_pixels_show_the_ant_where_it_is(situation: AntSituation) -> None:
    scene = situation.scene()
    column, row = scene.point
    assert (round(row) * 3 + round(column)) == scene.agent == situation.cells[-1]
    assert situation.scene(agent=4).point == (1, 1)
    black = np.argwhere((situation.pixels() == DISC).all(axis=2))
    np.testing.assert_allclose(black.mean(axis=0) / PIXELS - 0.5, [row, column], atol=0.02)
    apart = situation.pixels((0.25, 1.5))
    middle = np.argwhere((apart == DISC).all(axis=2)).mean(axis=0)
    np.testing.assert_allclose((middle + 0.5) / PIXELS - 0.5, [1.5, 0.25], atol=0.02)


def test_plain_values_go_there_and_back(world: AntWorld, situation: AntSituation) -> None:
    plain = json.loads(json.dumps(situation.plain()))
    assert world.stage(plain) == situation
    for broken, said in (
        ({**plain, "task": ["Z"]}, "subgoals out of 0, 1, 2, 3"),
        ({**plain, "stance": None}, "a list of numbers"),
        ({**plain, "stance": plain["stance"][1:]}, "28 numbers; give 29"),
        ({**plain, "stance": [0.8, *plain["stance"][1:]]}, "take 0.75 at most"),
    ):
        with pytest.raises(ValueError, match=said):
            world.stage(broken)


def test_a_roaming_ant_s_arena_is_staged_to_the_bit(world: AntWorld) -> None:
    roaming = world.roaming(3)
    seen, _ = roaming.reset(seed=2)
    staged = world.stage(roaming.plain(1, (2, 0)))
    assert staged.task == (2, 0)
    np.testing.assert_allclose(staged.rows(1).reset(seed=0)[0][0], seen[1], rtol=0, atol=1e-6)


def test_what_walks_from_place_to_place_is_refused_in_a_sentence(world: AntWorld) -> None:
    with pytest.raises(NotOffered, match=r"situations to draw, edit and walk through.* no moves;"):
        ask(world, Walkable, "edits of boards")


def test_ants_stand_where_they_are_placed(world: AntWorld, situation: AntSituation) -> None:
    assert isinstance(situation, Placeable)
    start = situation.scene().agent
    row, column = divmod(start, 3)
    points = np.array([[column, row], [column + 0.3, row - 0.2], [column - 0.25, row]])
    turns = np.array([0.0, np.pi / 2, -1.0])
    env = situation.placed(points, turns)
    for seed in (0, 1):
        seen, _ = env.reset(seed=seed)
        np.testing.assert_allclose(world.points(seen), points, atol=1e-5)
        np.testing.assert_allclose(env.trail[:, 0], points, atol=1e-12)
        names = world.observation.column_names
        front = seen[:, [names.index("cos_heading"), names.index("sin_heading")]]
        np.testing.assert_allclose(front, np.stack([np.cos(turns), np.sin(turns)], 1), atol=1e-6)
        still = seen[:, [i for i, name in enumerate(names) if name.endswith("_speed")]]
        assert not still.any()
    env.step(np.zeros((3, 8), np.float32))
    assert env.lengths.tolist() == [1, 1, 1]


def test_no_ant_is_placed_on_something(situation: AntSituation) -> None:
    thing = situation.scene().things[0]
    point = np.array([[float(thing.place % 3), float(thing.place // 3)]])
    with pytest.raises(ValueError, match="each needs a cell of its own"):
        situation.placed(point, np.zeros(1))
    with pytest.raises(ValueError, match="each needs a cell of its own"):
        situation.placed(np.array([[-2.0, 0.0]]), np.zeros(1))

"""What is observed: the same turned arena looks the same, and each column says what it says."""

from __future__ import annotations

import numpy as np
from pytest import approx

from irl_lens.envs.ant.navigator import Navigator
from irl_lens.envs.ant.sights import Sights
from irl_lens.envs.ant.spec import AntConfig, AntSpec
from irl_lens.envs.pinpad.layouts import Layouts

SPEC = AntSpec(AntConfig())
NAMES = SPEC.observation.column_names
OBJECTS = ("0", "1", "2", "3", "wall0")


def state(yaw: float, place: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    qpos, qvel = np.zeros((1, 15)), np.zeros((1, 14))
    qpos[0, :3], qpos[0, 3], qpos[0, 6] = (*place, 0.85), np.cos(yaw / 2), np.sin(yaw / 2)
    qpos[0, 7:] = np.arange(8) / 10
    qvel[0, :3] = (np.cos(yaw), np.sin(yaw), 0.5)  # a metre a second straight ahead
    qvel[0, 6:] = -np.arange(8.0)
    return qpos, qvel


def seen(yaw: float, place: tuple[float, float], objects: list[int]) -> dict[str, float]:
    arena = Layouts(np.array([objects]), np.array([-1]))
    found = Sights.of(SPEC, arena).observe(*state(yaw, place))
    assert found.dtype == np.float32 and found.shape == (1, SPEC.observation.columns)
    return dict(zip(NAMES, found[0].tolist(), strict=True))


def test_columns_are_what_they_are_called() -> None:
    found = seen(np.pi / 2, (-2.25, 2.0), [0, 3, 12, 15, 5])
    near = {name: round(value, 4) for name, value in found.items()}
    assert near["height"] == 0.1 and near["up_x"] == near["up_y"] == 0
    assert near["velocity_x"] == round(np.log(2), 4) and near["velocity_y"] == 0
    assert near["velocity_z"] == round(np.log(1.5), 4)
    assert near["cos_heading"] == 0 and near["sin_heading"] == 1
    assert near["hip2"] == 0.2 and near["ankle2"] == round(0.3 - np.deg2rad(50), 4)
    assert near["hip2_speed"] == round(-np.log(3), 4) and near["ankle4_speed"] == -round(
        np.log(8), 4
    )
    assert (near["x"], near["y"]) == (-0.75, 0.6667)
    assert (near["cell_cos_x"], near["cell_sin_x"]) == (1, 0)
    assert (near["cell_cos_y"], near["cell_sin_y"]) == (0.5, round(-np.sin(np.pi / 3), 4))
    assert (near["0_x"], near["0_y"]) == (0, 0.25)  # to the north, though the ant faces it
    assert (near["1_x"], near["1_y"]) == (4.5, 0.25)  # to the east
    assert (near["wall0_x"], near["wall0_y"]) == (1.5, -1.25)
    at = {name: value for name, value in near.items() if name.startswith("at") and value}
    assert at == {"at0": 0.8333, "at4": 0.1667}  # a sixth of a side to the south
    assert [near[f"near{colour}"] for colour in range(4)] == [0.8333, 0, 0, 0]  # in that of 0
    assert [near[f"on{colour}"] for colour in range(4)] == [1, 0, 0, 0]
    assert [near[f"{name}_cell"] for name in OBJECTS] == [
        0,
        16 + 3,
        32 + 12,
        48 + 15,
        64 + 5,
    ]


def test_an_ant_is_shared_among_the_cells_around_it() -> None:
    found = seen(0.3, (0.375, -0.75), [0, 3, 12, 15, 5])
    at = {name: value for name, value in found.items() if name.startswith("at") and value}
    assert at == {"at9": 0.25, "at10": 0.75}
    beside = seen(0.3, (0.375, -0.75), [10, 9, 12, 15, 5])
    assert [beside[f"near{colour}"] for colour in range(4)] == [0.75, 0.25, 0, 0]
    assert [beside[f"on{colour}"] for colour in range(4)] == [1, 0, 0, 0]
    wall = seen(0.3, (0.375, -0.75), [9, 3, 12, 15, 10])
    assert [wall[f"on{colour}"] for colour in range(4)] == [0, 0, 0, 0]  # near 0, on a wall
    assert sum(seen(0, (0.4, 1.0), [0, 3, 12, 15, 5])[f"at{i}"] for i in range(16)) == approx(1)


def test_a_quarter_turn_of_everything_changes_the_arena_s_columns_alone() -> None:
    quarter = [3, 15, 0, 12, 6]  # 0, 3, 12, 15 and 5 turned to the right
    one = seen(0.3, (0.4, 1.0), [0, 3, 12, 15, 5])
    other = seen(0.3 - np.pi / 2, (1.0, -0.4), quarter)
    turned = {"cos_heading", "sin_heading", "x", "y"}
    turned |= {f"cell_{wave}_{axis}" for wave in ("cos", "sin") for axis in "xy"}
    turned |= {f"{name}_{part}" for name in OBJECTS for part in ("x", "y", "cell")}
    turned |= {f"at{cell}" for cell in range(16)}
    for name in set(NAMES) - turned:
        np.testing.assert_allclose(other[name], one[name], atol=1e-6, err_msg=name)
    assert any(abs(other[name] - one[name]) > 0.1 for name in turned)


def test_nothing_jumps_where_a_cell_ends() -> None:
    before, after = (seen(0.3, (x, -0.4), [0, 3, 12, 15, 5]) for x in (-1e-6, 1e-6))
    for name in NAMES:
        np.testing.assert_allclose(before[name], after[name], atol=1e-5, err_msg=name)


def test_ways_lead_round_what_is_in_the_way() -> None:
    # Standing in cell 4, at the west end of the second row; colour 0 is north, the wall east.
    found = seen(np.pi / 2, (-2.25, 0.75), [0, 7, 12, 3, 5])
    assert [found["way0_x"], found["way0_y"]] == approx([1, 0], abs=1e-3)
    assert [found["way2_x"], found["way2_y"]] == approx([-1, 0], abs=1e-3)
    # Colour 1 is straight to the east (to the right), behind the wall: not that way.
    assert abs(found["way1_x"]) > 0.5
    for colour in range(4):
        assert np.hypot(found[f"way{colour}_x"], found[f"way{colour}_y"]) == approx(1)


def test_ways_are_where_the_expert_walks_and_can_be_left_out() -> None:
    rng = np.random.default_rng(0)
    arenas = Layouts(np.array([rng.permutation(16)[:5] for _ in range(64)]), np.full(64, -1))
    qpos, qvel = np.zeros((64, 15)), rng.normal(size=(64, 14))
    qpos[:, :2], turn = rng.uniform(-3, 3, (64, 2)), rng.uniform(-np.pi, np.pi, 64)
    qpos[:, 3], qpos[:, 6] = np.cos(turn / 2), np.sin(turn / 2)
    found = Sights.of(SPEC, arenas).observe(qpos, qvel)
    expert = Navigator.of(SPEC.board, arenas, SPEC.arena)
    for colour in range(4):
        command = expert.directions(qpos[:, :2], qvel[:, :2], np.full(64, colour)) - turn
        ways = found[:, [NAMES.index(f"way{colour}_{axis}") for axis in "xy"]]
        np.testing.assert_allclose(ways, np.stack([np.cos(command), np.sin(command)], 1), atol=1e-5)
    blind = AntSpec(AntConfig(ways=False))
    assert blind.observation.column_names == NAMES[: -4 * SPEC.board.colours]
    np.testing.assert_array_equal(Sights.of(blind, arenas).observe(qpos, qvel), found[:, :-16])

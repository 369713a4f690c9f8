"""What is observed: the same turned arena looks the same, and each column says what it says."""

from __future__ import annotations

import numpy as np
from pytest import approx

from irl_lens.envs.ant.columns import observe
from irl_lens.envs.ant.spec import AntConfig, AntSpec

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
    found = observe(SPEC.arena, np.array([objects]), *state(yaw, place))
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
    before, after = (seen(0.3, (x, 0.4), [0, 3, 12, 15, 5]) for x in (-1e-6, 1e-6))
    for name in NAMES:
        np.testing.assert_allclose(before[name], after[name], atol=1e-5, err_msg=name)

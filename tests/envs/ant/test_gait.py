"""The gait sees a body turned by a quarter as the body it is, and gives torques back to match."""

from __future__ import annotations

import numpy as np
import pytest

from irl_lens.envs.ant.gait import (
    SHIFTED,
    Gait,
    gait_observation,
    heading,
    trained_gait,
    turned_back,
)
from irl_lens.errors import UserError

RNG = np.random.default_rng(0)


def states(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bodies that lie, stand and tumble anyhow, and commands."""
    qpos, qvel = RNG.normal(size=(n, 15)), RNG.normal(size=(n, 14))
    qpos[:, 3:7] /= np.linalg.norm(qpos[:, 3:7], axis=1, keepdims=True)
    return qpos, qvel, RNG.uniform(-np.pi, np.pi, n)


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Product of quaternions, w first."""
    w, v, u, x = a[..., :1], a[..., 1:], b[..., :1], b[..., 1:]
    return np.concatenate([w * u - (v * x).sum(-1, keepdims=True),
                           w * x + u * v + np.cross(v, x)], axis=-1)  # fmt: skip


def about_z(angle: float | np.ndarray) -> np.ndarray:
    half = np.asarray(angle) / 2
    return np.stack([np.cos(half), 0 * half, 0 * half, np.sin(half)], axis=-1)


def rotated(vectors: np.ndarray, angle: float | np.ndarray) -> np.ndarray:
    cos, sin, (x, y) = np.cos(angle), np.sin(angle), vectors.T
    return np.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)


def relabelled(qpos: np.ndarray, qvel: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The same bodies with another leg called the first: axes and legs move on by k quarters."""
    qpos, qvel = qpos.copy(), qvel.copy()
    qpos[:, 3:7] = product(qpos[:, 3:7], about_z(k * np.pi / 2))
    qvel[:, 3:5] = rotated(qvel[:, 3:5], -k * np.pi / 2)
    qpos[:, 7:] = np.roll(qpos[:, 7:].reshape(-1, 4, 2), -k, axis=1).reshape(-1, 8)
    qvel[:, 6:] = np.roll(qvel[:, 6:].reshape(-1, 4, 2), -k, axis=1).reshape(-1, 8)
    return qpos, qvel


def small_gait() -> Gait:
    shapes = {"actor.0": (16, 28), "actor.2": (16, 16), "actor.4": (8, 16)}
    tensors = {f"{n}.weight": RNG.normal(size=s).astype(np.float32) / 5 for n, s in shapes.items()}
    tensors |= {f"{n}.bias": RNG.normal(size=s[0]).astype(np.float32) for n, s in shapes.items()}
    return Gait.of({**tensors, "log_std": np.full(8, -1, np.float32)})


@pytest.mark.parametrize("k", [1, 2, 3])
def test_which_leg_is_called_the_first_makes_no_difference(k: int) -> None:
    qpos, qvel, command = states(64)
    other = relabelled(qpos, qvel, k)
    seen, turns = gait_observation(qpos, qvel, command)
    again, others = gait_observation(*other, command)
    np.testing.assert_allclose(seen, again, atol=1e-5)
    assert ((others + k) % 4 == turns).all()
    gait = small_gait()
    torques, moved = gait.torques(qpos, qvel, command), gait.torques(*other, command)
    np.testing.assert_allclose(np.roll(torques, -2 * k, axis=1), moved, atol=1e-5)


@pytest.mark.parametrize("angle", [0.3, 2.0, -1.4])
def test_the_worlds_direction_makes_no_difference(angle: float) -> None:
    qpos, qvel, command = states(64)
    turned, moving = qpos.copy(), qvel.copy()
    turned[:, 3:7] = product(about_z(angle)[None], qpos[:, 3:7])
    moving[:, :2] = rotated(qvel[:, :2], angle)
    seen, turns = gait_observation(qpos, qvel, command)
    again, others = gait_observation(turned, moving, command + angle)
    np.testing.assert_allclose(seen, again, atol=1e-5)
    assert (turns == others).all()


def test_commands_are_seen_from_both_sides() -> None:
    seen, _ = gait_observation(*states(512))
    weight, cos, sin = seen[..., 0], seen[..., 11], seen[..., 12]
    assert (cos >= -1e-6).all() and (sin[:, 0] >= -1e-6).all() and (sin[:, 1] <= 1e-6).all()
    np.testing.assert_allclose(weight, cos**2, atol=1e-6)
    np.testing.assert_allclose(weight.sum(axis=1), 1, rtol=1e-6)


def test_torques_do_not_jump_where_other_views_begin_to_count() -> None:
    qpos, qvel, _ = states(64)
    for k in range(4):
        edge, gait = heading(qpos) + k * np.pi / 2, small_gait()
        before, after = (gait.torques(qpos, qvel, edge + by) for by in (-1e-5, 1e-5))
        np.testing.assert_allclose(before, after, atol=1e-4)


def test_the_views_torques_are_put_in_order() -> None:
    """Leg j of a body turned once more is leg j + 1 of the one before."""
    torques = np.arange(8.0)[None]
    turned = turned_back(torques, np.array([1]))
    np.testing.assert_array_equal(turned, turned_back(torques[:, SHIFTED[1]], np.array([0])))


def test_an_upright_ant_faces_its_yaw() -> None:
    yaw = np.linspace(-3, 3, 7)
    qpos = np.concatenate([np.zeros((7, 3)), about_z(yaw), np.zeros((7, 8))], axis=1)
    np.testing.assert_allclose(heading(qpos), yaw, atol=1e-12)


def test_torques_go_to_the_legs_that_are_meant() -> None:
    torques = np.arange(8.0)[None].repeat(4, axis=0)
    back = turned_back(torques, np.arange(4))
    np.testing.assert_array_equal(back[1], [6, 7, 0, 1, 2, 3, 4, 5])
    np.testing.assert_array_equal(back[0], torques[0])


def test_rows_do_not_touch_each_other() -> None:
    qpos, qvel, command = states(16)
    gait = small_gait()
    alone = [gait.torques(qpos[i : i + 1], qvel[i : i + 1], command[i : i + 1]) for i in range(16)]
    np.testing.assert_allclose(np.concatenate(alone), gait.torques(qpos, qvel, command), atol=1e-6)


def test_other_weights_are_refused(tmp_path) -> None:
    with pytest.raises(UserError, match="log_std"):
        Gait.of({"actor.0.weight": np.zeros((8, 28)), "actor.0.bias": np.zeros(8)})
    with pytest.raises(UserError, match="reads"):
        Gait.of({"log_std": np.zeros(8)})
    with pytest.raises(UserError, match="train expert"):
        trained_gait(tmp_path / "none.safetensors")

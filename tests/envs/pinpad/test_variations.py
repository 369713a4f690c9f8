"""Worlds with one thing other: what is other is, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from irl_lens.envs.contracts import Varied
from irl_lens.envs.pinpad.disturbed import MovingVectorEnv, SlippingVectorEnv
from irl_lens.envs.pinpad.variations import OtherWalls
from irl_lens.envs.pinpad.vector_env import GridPinpadVectorEnv, rows_of
from irl_lens.envs.pinpad.world import PinpadWorld
from irl_lens.envs.protocol import Filtered, VectorWorld, World
from irl_lens.envs.registry import GRID, SMALL_GRID
from irl_lens.errors import UserError

WORLD = PinpadWorld(GRID)
SMALL = PinpadWorld(SMALL_GRID)


@pytest.mark.parametrize("world", [WORLD, SMALL], ids=["grid", "small"])
def test_what_is_usually_varied_is_a_world_that_the_same_model_reads(world: PinpadWorld) -> None:
    assert isinstance(world, Varied) and len(world.variations) == 6
    for variation in world.variations:
        other = world.varied(variation)
        # What is altered the exact filter does not know, so that there must be none.
        assert isinstance(other, World) and not isinstance(other, Filtered)
        env, shown = other.vector_env(3, prefix=2), other.demonstrate(3, [0, 1])
        assert isinstance(env, VectorWorld)
        for seen in (other, env):
            assert (seen.observation, seen.actions) == (world.observation, world.actions)
        observation, info = env.reset(seed=0)
        assert observation.shape == (3, shown.observations.shape[-1])
        assert observation.dtype == shown.observations.dtype
        assert info["solvable"].all() and len(shown) == 3 and shown.boundaries().any()


def test_another_task_is_asked_for_and_shown() -> None:
    other = WORLD.varied("task=B-C-D-A")
    assert other.heldout_subgoals == (1, 2, 3, 0) != WORLD.heldout_subgoals
    shown = other.demonstrate(4, 0)
    subgoals = shown.require("subgoals")
    for row, mask in zip(subgoals, shown.mask, strict=True):
        assert row[mask][np.append(True, np.diff(row[mask]) != 0)].tolist() == [1, 2, 3, 0]
    _, info = other.vector_env(4).reset(seed=0)
    assert info["subgoal"].tolist() == [1] * 4
    assert WORLD.varied("task=A-A").heldout_subgoals == (0, 0)


def test_walls_stand_in_the_columns_that_the_model_has() -> None:
    own, walls = WORLD.observation, 6
    other = WORLD.varied(f"walls={walls}")
    assert isinstance(other, OtherWalls)
    plain = PinpadWorld(replace(GRID, walls=walls)).demonstrate(3, 5)
    shown = other.demonstrate(3, 5)
    np.testing.assert_array_equal(shown.actions, plain.actions)
    ends = np.cumsum(own.sizes)[:-1]
    own_blocks = np.split(shown.observations, ends, axis=-1)
    other_spec = PinpadWorld(replace(GRID, walls=walls)).observation
    dense = other_spec.dense(plain.observations)
    blocks = dict(
        zip(other_spec.names, np.split(dense, np.cumsum(other_spec.sizes)[:-1], -1), strict=True)
    )
    for name, block in zip(own.names, own_blocks, strict=True):
        wanted = blocks[name]
        if name in ("wall0", "wall1"):  # shared with the fifth and the sixth
            wanted = wanted + blocks[f"wall{int(name[-1]) + 4}"]
        np.testing.assert_array_equal(block, wanted)
    none = WORLD.varied("walls=0").demonstrate(2, 0).observations
    first = own.offsets[own.names.index("wall0")]
    assert not none[..., first : first + 4 * 169].any()
    assert none.sum(axis=-1).max() == own.columns - 4
    same = WORLD.varied(f"walls={GRID.walls}").demonstrate(2, 3).observations
    np.testing.assert_array_equal(same, own.dense(WORLD.demonstrate(2, 3).observations))


def test_a_world_without_walls_has_no_column_for_one() -> None:
    bare = PinpadWorld(replace(SMALL_GRID, walls=0))
    assert not any(name.startswith("walls") for name in bare.variations)
    with pytest.raises(UserError, match="without walls has no column to see one in"):
        bare.varied("walls=1")


def _moving(n: int, seed: int) -> tuple[MovingVectorEnv, GridPinpadVectorEnv]:
    made = rows_of(GRID, n, made=MovingVectorEnv), rows_of(GRID, n)
    for env in made:
        env.reset(seed=seed)
    return made  # type: ignore[return-value]


def test_the_colour_asked_for_moves_once_half_of_the_visits_are_done() -> None:
    env, still = _moving(32, 0)
    boards = env._episodes.state.objects.copy()
    rng, moves, half = np.random.default_rng(0), np.zeros(32, int), 6
    policy, live = env.expert_policy(), np.ones(32, bool)
    while live.any():
        before, visit = env._episodes.state.objects.copy(), env._episodes.info()["visit"]
        progress = env._episodes.state.progress.copy()
        actions = np.array([rng.choice(4, p=p) if p.any() else 0 for p in policy])
        if (progress < half).all():  # until then nothing is other
            np.testing.assert_array_equal(env.step(actions)[0], still.step(actions)[0])
        else:
            env.step(actions)
        changed = (env._episodes.state.objects != before).sum(axis=1)
        moves += changed
        for row in np.flatnonzero(changed):
            state, wanted = env._episodes.state, env._episodes.info()["visit"][row]
            assert progress[row] >= half and live[row] and wanted >= visit[row]
            assert state.objects[row, wanted] != before[row, wanted]
            assert len({*state.objects[row]}) == 12
            assert state.cell[row] != state.objects[row, wanted]
        policy, live = env.expert_policy(), ~env._episodes.done
    # The expert, who is to have done all of it, has; every board was changed once.
    assert env._episodes.info()["success"].all() and (moves == 1).all() and env.moved.all()
    assert ((env._episodes.state.objects != boards).sum(axis=1) == 1).all()
    env.reset(seed=1)
    assert not env.moved.any()


def test_who_does_not_come_so_far_sees_nothing_move() -> None:
    env, still = _moving(16, 3)
    for action in np.random.default_rng(0).integers(4, size=(30, 16)):
        np.testing.assert_array_equal(env.step(action)[0], still.step(action)[0])
    assert not env.moved.any()


def test_demonstrations_with_a_move_are_successes_with_one_jump() -> None:
    shown = WORLD.varied("moved").demonstrate(24, 0)
    progress = np.where(shown.mask, shown.require("progress"), 0)
    assert (progress.max(axis=1) == 5).all()  # the sixth visit ends the task
    assert not (shown.policy == 0).all(axis=-1)[shown.mask].any()  # type: ignore[union-attr]
    seen = shown.observations - np.append(0, WORLD.observation.offsets[1:])
    row, column = np.divmod(seen[..., :12], 13)
    cells = np.stack([row, column], -1) - 6 + np.stack(np.divmod(seen[..., 12], 7), -1)[:, :, None]
    jumps = (np.diff(cells, axis=1) != 0).any(axis=(2, 3)) & shown.mask[:, 1:]
    assert (jumps.sum(axis=1) == 1).all()
    again = WORLD.varied("moved").demonstrate(24, 0)
    np.testing.assert_array_equal(again.observations, shown.observations)


def test_slips_are_harmless_and_as_frequent_as_was_asked_for() -> None:
    n, epsilon = 400, 0.3
    env = rows_of(GRID, n, made=lambda *args, **options: SlippingVectorEnv(
        *args, epsilon=epsilon, **options
    ))  # fmt: skip
    assert isinstance(env, SlippingVectorEnv)
    env.reset(seed=0)
    idle = np.zeros(n, np.int64)
    taken = env._checked(idle)
    harmless = env._harmless()
    assert harmless[np.arange(n), taken][taken != 0].all()
    # Another action is taken where one is drawn that is not the agent's own.
    others = harmless[:, 1:].sum(axis=1) / np.maximum(harmless.sum(axis=1), 1)
    assert (taken != 0).mean() == pytest.approx(epsilon * others.mean(), abs=0.07)
    never = rows_of(GRID, n, made=lambda *a, **o: SlippingVectorEnv(*a, epsilon=0.0, **o))
    never.reset(seed=0)
    assert not never._checked(idle).any()
    with pytest.raises(ValueError, match="integers from 0 to 3"):
        env.step(idle + 4)


def test_a_noisy_expert_is_the_world_s_own() -> None:
    noisy = WORLD.varied("epsilon=0.2").demonstrate(5, 1)
    wanted = WORLD.demonstrate(5, 1, epsilon=0.2)
    np.testing.assert_array_equal(noisy.actions, wanted.actions)


@pytest.mark.parametrize(
    ("variation", "said"),
    [
        ("size=9", "size=9: a model made for size 7 reads no other.*--set world.size=9"),
        ("colours=9", "colours=9: a model made for colours 8 reads no other"),
        ("walls=60", "walls=60: 8 colours, 60 walls .* 69 cells, but a 7 x 7 board has 49"),
        ("walls=few", "walls=few: write walls= and a number"),
        ("epsilon=1", "epsilon=1; take a probability above 0 and below 1"),
        ("epsilon=nan", "epsilon=nan; take a probability"),
        ("task=B-E", "task 'B-E': no subgoal 'E'; join some of A, B, C, D by dashes"),
        ("task=", "task '': no subgoal ''; join some"),
        ("task=" + "-".join("A" * 51), "has 102 visits, and an episode at most 100 steps"),
        ("moved=3", "nothing is varied by 'moved=3'; there are task="),
        ("gravity", "nothing is varied by 'gravity'"),
    ],
)
def test_what_a_model_could_not_read_is_refused(variation: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        WORLD.varied(variation)

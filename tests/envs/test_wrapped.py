"""Any Gymnasium environment as a world: spaces, demonstrations, rows, recorded episodes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from irl_lens.data.demonstrations import Demonstrations
from irl_lens.envs import GymnasiumWorld, make_world
from irl_lens.envs.contracts import Recorded
from irl_lens.envs.protocol import Filtered, VectorWorld, World
from irl_lens.envs.scenes import Stageable
from irl_lens.envs.spaces import ContinuousActions, DiscreteActions, RealColumn
from irl_lens.envs.trajectories import Trajectories
from irl_lens.envs.wrapped.actions import Actions
from irl_lens.envs.wrapped.columns import Columns
from irl_lens.envs.wrapped.rows import WrappedRows
from irl_lens.errors import UserError
from tests.corridor_world import (
    HELDOUT,
    TRAIN,
    CorridorConfig,
    CorridorEnv,
    expert,
    recorded,
    recorded_world,
)

CONFIG = CorridorConfig()


@pytest.fixture(params=[True, False], ids=["labelled", "unlabelled"])
def world(request: pytest.FixtureRequest) -> GymnasiumWorld:
    made = make_world(replace(CONFIG, labelled=request.param))
    assert isinstance(made, GymnasiumWorld)
    return made


class DriftEnv(gym.Env[np.ndarray, np.ndarray]):
    """A point that a push of two numbers moves to the origin."""

    observation_space = spaces.Box(-2.0, 2.0, (2,), np.float64)

    def __init__(self, low: float | list[float] = -1.0) -> None:
        limits = np.broadcast_to(np.array(low, np.float32), (2,))
        self.action_space = spaces.Box(limits, -limits, dtype=np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.place = self.np_random.uniform(-2, 2, 2)
        return self.place, {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action)
        self.place = np.clip(self.place + action, -2, 2)
        done = bool(np.linalg.norm(self.place) < 0.5)
        return self.place, float(done), done, False, {}


def pushed(env: gym.Env, seen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.clip(-seen, -1, 1)


def test_the_corridor_is_a_world_without_what_it_cannot_offer(world: GymnasiumWorld) -> None:
    assert isinstance(world, World) and isinstance(world.vector_env(2), VectorWorld)
    assert not isinstance(world, Filtered) and not isinstance(world, Stageable)
    assert world.observation.names == ("agent", "sites[0]", "sites[1]", "sites[2]")
    assert world.observation.sizes == (7, 7, 7, 7) and world.observation.predicted == (0, 1, 2, 3)
    assert world.actions == DiscreteActions(2)


def test_what_is_told_meanwhile_rises_to_all_and_changes_nothing(world: GymnasiumWorld) -> None:
    told: list[int] = []
    shown, known = world.demonstrate_telling(5, 3, told.append), world.demonstrate(5, 3)
    np.testing.assert_array_equal(shown.observations, known.observations)
    assert told == sorted(told) and set(told) >= {1, 2, 3, 4, 5}


def test_demonstrations_are_the_expert_s_successes(world: GymnasiumWorld) -> None:
    shown = world.demonstrate(40, seed=(3, 1))
    again = world.demonstrate(40, seed=(3, 1))
    np.testing.assert_array_equal(shown.observations, again.observations)
    assert not np.array_equal(
        shown.observations[:, 0], world.demonstrate(40, seed=(3, 2)).observations[:, 0]
    )
    assert shown.observations.dtype == np.int32 and shown.actions.dtype == np.int64
    agent = shown.observations[..., 0]
    moved, both = np.diff(agent, axis=1), shown.mask[:, 1:]
    # At an edge a step leads nowhere.
    assert (
        moved[both]
        == np.clip(agent[:, :-1] + 2 * shown.actions[:, :-1] - 1, 0, 6)[both] - agent[:, :-1][both]
    ).all()
    if not world.subgoal_names:
        assert shown.subgoals is shown.visits is shown.progress is None
        return
    subgoals, progress = shown.require("subgoals"), shown.require("progress")
    for row in range(40):
        steps = shown.lengths[row]
        order = [int(subgoals[row, 0])]
        order += [int(subgoals[row, t]) for t in range(1, steps) if shown.boundaries()[row, t]]
        assert tuple(order) in TRAIN
        assert progress[row, steps - 1] == 1 and (subgoals[row, steps:] == -1).all()


def test_the_expert_s_demonstrations_end_where_the_task_does(world: GymnasiumWorld) -> None:
    shown = world.demonstrate(30, seed=0)
    last = shown.lengths - 1
    rows = np.arange(30)
    end = shown.observations[rows, last, 0] + 2 * shown.actions[rows, last] - 1
    sites = shown.observations[rows, last, 1:] - world.observation.offsets[1:]
    assert (end[:, None] == sites).any(axis=1).all()


def test_noise_is_in_the_actions_kept() -> None:
    world = make_world(CONFIG)
    clean, noisy = (world.demonstrate(60, 0, epsilon=e) for e in (0.0, 0.5))
    assert noisy.lengths.mean() > 1.3 * clean.lengths.mean()


def test_a_policy_of_one_s_own_is_learned_from() -> None:
    def policy(env: gym.Env, seen: dict[str, Any]) -> list[float]:
        right = expert(env, seen, np.random.default_rng())
        return [0.1, 0.9] if right else [0.9, 0.1]

    world = GymnasiumWorld(lambda: CorridorEnv(7, TRAIN), 60, policy=policy)
    shown = world.demonstrate(200, seed=0)
    probabilities = shown.require("policy")[shown.mask]
    np.testing.assert_allclose(np.unique(probabilities), [0.1, 0.9], rtol=1e-6)
    likely = probabilities.argmax(axis=1) == shown.actions[shown.mask]
    assert abs(likely.mean() - 0.9) < 0.03
    mixed = world.demonstrate(5, seed=0, epsilon=0.5).require("policy")
    assert mixed.max() == pytest.approx(0.7)


def test_rows_play_the_held_out_task_and_stay_put_at_the_end(world: GymnasiumWorld) -> None:
    env = world.vector_env(12)
    observation, info = env.reset(seed=5)
    np.testing.assert_array_equal(observation, world.vector_env(12).reset(seed=5)[0])
    total, ended = np.zeros(12), np.zeros(12, bool)
    for _ in range(world.horizon):
        before = observation
        actions = [
            expert(e, seen, np.random.default_rng()) if not over else 0
            for e, seen, over in zip(env.envs, env.raw, ended, strict=True)
        ]
        observation, reward, terminated, truncated, info = env.step(np.array(actions))
        np.testing.assert_array_equal(observation[ended], before[ended])
        assert not reward[ended].any()
        total, ended = total + reward, terminated | truncated
    assert ended.all() and (total == terminated).all() and 0.5 < total.mean() <= 1
    if world.subgoal_names:
        assert (info["progress"][terminated] == len(HELDOUT)).all()
        assert (info["subgoal"][terminated] == -1).all()
    else:
        assert info == {}


def test_a_prefix_is_over_after_so_many_subgoals() -> None:
    world = make_world(CONFIG)
    env = world.vector_env(6, prefix=1)
    assert isinstance(env, WrappedRows)
    env.reset(seed=1)
    for _ in range(world.horizon):
        actions = [
            expert(e, seen, np.random.default_rng()) if not over else 0
            for e, seen, over in zip(env.envs, env.raw, env.over, strict=True)
        ]
        *_, info = env.step(np.array(actions))
    assert env.done.all() and (info["progress"] == 1).all()
    with pytest.raises(UserError, match="a prefix of the task without labels"):
        make_world(replace(CONFIG, labelled=False)).vector_env(2, prefix=1)


def test_continuous_observations_and_actions() -> None:
    world = GymnasiumWorld(DriftEnv, 20, pushed, scales={"observation": 0.5})
    assert world.observation.reals[0] == RealColumn("observation[0]", 0.5)
    assert world.actions == ContinuousActions(2, -1.0, 1.0)
    shown = world.demonstrate(10, seed=0)
    assert shown.observations.dtype == shown.actions.dtype == np.float32
    assert shown.actions.shape == (*shown.mask.shape, 2)
    env = world.vector_env(3)
    env.reset(seed=0)
    env.step(np.full((3, 2), 9, np.float32))  # beyond the limits: clipped


def test_limits_that_differ_are_scaled() -> None:
    actions = Actions(DriftEnv([-1.0, -4.0]).action_space)
    assert actions.spec == ContinuousActions(2, -1.0, 1.0)
    kept = actions.kept(np.array([0.5, -2.0]))
    np.testing.assert_allclose(kept, [0.5, -0.5])
    np.testing.assert_allclose(actions.given(kept), [0.5, -2.0])
    with pytest.raises(UserError, match="limits that are finite"):
        Actions(spaces.Box(np.array([-np.inf, -1.0]), np.array([1.0, 1.0]), dtype=np.float64))


def test_columns_of_nested_spaces() -> None:
    space = spaces.Dict(
        {
            "seen": spaces.Tuple((spaces.Discrete(3, start=5), spaces.MultiBinary(2))),
            "speed": spaces.Box(
                np.array([0.0, -np.inf]), np.array([4.0, np.inf]), dtype=np.float64
            ),
        }
    )
    columns = Columns(space, scales={"speed[1]": 3.0}, predicted=["speed[1]", "seen.1[0]"])
    assert columns.spec.names == ("seen.0", "seen.1[0]", "seen.1[1]")
    assert columns.spec.sizes == (3, 2, 2) and columns.spec.predicted == (1,)
    reals = RealColumn("speed[0]", 2.0, False), RealColumn("speed[1]", 3.0, True)
    assert columns.spec.reals == reals
    found = columns.encode({"seen": (6, np.array([0, 1])), "speed": np.array([1.5, -7.0])})
    assert found.dtype == np.float32 and found.tolist() == [1, 3, 6, 1.5, -7.0]
    with pytest.raises(UserError, match=r"no column 'speed\[2\]'; there are seen\.0,"):
        Columns(space, predicted=["speed[2]"])
    with pytest.raises(UserError, match=r"observations 'words' of Text"):
        Columns(spaces.Dict({"words": spaces.Text(3)}))


@pytest.mark.parametrize("labelled", [True, False])
def test_recorded_episodes_in_place_of_an_expert(labelled: bool) -> None:
    names = {"subgoals": ("key", "lever", "door")} if labelled else {}
    world = recorded_world(recorded(50, labelled), **names)
    assert isinstance(world, Recorded)
    parts = {
        purpose: Demonstrations(world, 0, purpose, 64)[0]
        for purpose in ("base", "analysis-fit", "analysis-test")
    }
    assert [len(shown) for shown in parts.values()] == [40, 5, 5]
    starts = [{tuple(x) for x in shown.observations[:, 0].tolist()} for shown in parts.values()]
    assert not starts[0] & starts[1] or len(starts[0]) < 40  # boards may be alike by chance
    batch = Demonstrations(world, 0, "base", 8)
    assert len(batch[0]) == 8
    assert not np.array_equal(batch[0].observations[:, 0], batch[1].observations[:, 0])
    assert (parts["base"].subgoals is not None) == labelled
    without = recorded_world(parts["base"]).demonstrate(3, seed=0)
    assert without.subgoals is without.progress is None


def test_trajectories_of_another_world() -> None:
    given = recorded_world(recorded(12, labelled=True), subgoals=("key", "lever", "door"))
    batch = given.demonstrate(9, seed=0)
    with pytest.raises(UserError, match=r"\(4, .*, in a world with \(2, "):
        GymnasiumWorld(DriftEnv, 24, episodes=batch).demonstrate(1, seed=0)
    with pytest.raises(UserError, match="with other subgoals than 0 to 0"):
        recorded_world(batch, subgoals=("key",)).demonstrate(1, seed=0)
    with pytest.raises(UserError, match="steps; take a horizon as long"):
        GymnasiumWorld(lambda: CorridorEnv(7, TRAIN), 2, episodes=batch).demonstrate(1, seed=0)


def test_parts_of_what_is_recorded_share_nothing() -> None:
    episodes = recorded(30, labelled=False)
    for number, episode in enumerate(episodes):  # each can be told by the agent's first cell
        episode["observations"] = np.full(len(episode["actions"]), number)
    env = CorridorEnv(7, TRAIN)
    env.observation_space = spaces.Discrete(30)  # type: ignore[assignment]
    world = GymnasiumWorld(lambda: env, 24, episodes=episodes)
    parts = [
        set(world.recorded(99, 0, part).observations[:, 0, 0].tolist())
        for part in ("train", "fit", "test")
    ]
    assert [len(part) for part in parts] == [24, 3, 3] and len(set().union(*parts)) == 30


SHORT = {"agent": np.zeros(4, int), "sites": np.zeros((4, 3), int)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"actions": np.zeros(0)}, "episode 0 has 0 actions and"),
        ({"actions": np.zeros(30, int), "observations": {"agent": np.zeros(30, int)}}, "30 steps"),
        ({"subgoals": [7]}, "episode 0 has not .* subgoals from 0 to 2"),
        ({"subgoals": ["key"] * 24}, "episode 0 has not .* subgoals from 0 to 2"),
        ({"actions": np.full(3, 2), "observations": SHORT}, "episode 0: action 2; take a whole"),
        ({"observations": SHORT | {"agent": np.zeros(9, int)}}, "actions and 4 and 9 observations"),
        ({"actions": np.zeros(3, int), "observations": {"agent": SHORT["agent"]}}, "no 'sites'"),
    ],
)
def test_recorded_episodes_that_do_not_fit(change: dict[str, Any], message: str) -> None:
    episode = recorded(1, labelled=True)[0] | change
    with pytest.raises(UserError, match=message):
        recorded_world([episode], subgoals=("key", "lever", "door")).demonstrate(1, seed=0)


def test_what_is_missing_from_recorded_episodes_is_named() -> None:
    episodes = recorded(5, labelled=False)
    with pytest.raises(UserError, match="has no subgoals; it has observations, actions"):
        recorded_world(episodes, subgoals=("key", "lever", "door")).demonstrate(1, seed=0)
    with pytest.raises(UserError, match="5 recorded episodes leave none to fit; record 10"):
        recorded_world(episodes[:5]).recorded(1, 0, "fit")
    with pytest.raises(UserError, match="episode 0 has no actions; it has nothing"):
        recorded_world([1]).demonstrate(1, seed=0)
    with pytest.raises(UserError, match="no recorded episodes"):
        recorded_world([]).demonstrate(1, seed=0)
    with pytest.raises(UserError, match="as they are; take epsilon = 0"):
        recorded_world(episodes).demonstrate(1, seed=0, epsilon=0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "one of expert, policy and episodes"),
        ({"expert": pushed, "policy": lambda env, seen: [1]}, "one of expert, policy"),
        ({"policy": lambda env, seen: [1]}, "probabilities of discrete actions"),
        ({"expert": pushed, "subgoals": ("home",)}, "give both subgoals"),
        ({"expert": pushed, "subgoal": lambda env: 0}, "give both subgoals"),
        ({"expert": pushed, "horizon": 0}, "horizon 0; take a whole number"),
        ({"expert": pushed, "heldout_subgoals": (0,)}, "of which 0 are named"),
        ({"expert": pushed, "subgoals": "home", "subgoal": int}, "subgoals 'home'; give a list"),
        ({"expert": pushed, "subgoals": ("a", "a"), "subgoal": int}, "give a list of names"),
        ({"expert": pushed, "action_names": ("up",)}, "only discrete actions have names"),
    ],
)
def test_options_that_do_not_fit(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        GymnasiumWorld(**{"env": DriftEnv, "horizon": 20, **options})


def test_an_environment_in_place_of_what_makes_one() -> None:
    # Users have no check of annotations; tests have.
    unchecked = getattr(GymnasiumWorld.__init__, "__wrapped__", GymnasiumWorld.__init__)
    with pytest.raises(UserError, match="give functions that make environments"):
        unchecked(object.__new__(GymnasiumWorld), DriftEnv(), 20, pushed)  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [1, -1, 0.5, None, "home", float("nan")])
def test_a_label_that_there_is_not(given: Any) -> None:
    world = GymnasiumWorld(DriftEnv, 20, pushed, subgoals=("home",), subgoal=lambda env: given)
    with pytest.raises(UserError, match=f"subgoal {given!r}; the function 'subgoal' is to return"):
        world.demonstrate(1, seed=0)


@pytest.mark.parametrize("action", [[7.0, 0.0], [np.nan, 0.0], [0.5], None, "left"])
def test_actions_that_are_none_are_not_learned_from(action: Any) -> None:
    world = GymnasiumWorld(DriftEnv, 20, lambda env, seen, rng: action)
    with pytest.raises(UserError, match=r"action .*; take numbers within the environment's Box"):
        world.demonstrate(1, seed=0)


@pytest.mark.parametrize("action", [2, -1, 0.5, None, [0, 1], "left"])
def test_numbers_of_actions_that_there_are_not(action: Any) -> None:
    world = GymnasiumWorld(lambda: CorridorEnv(7, TRAIN), 60, lambda env, seen, rng: action)
    with pytest.raises(UserError, match=r"action .*; take a whole number from 0 to 1"):
        world.demonstrate(1, seed=0)


def test_actions_that_rounding_moved_are_put_back() -> None:
    actions = Actions(DriftEnv().action_space)
    assert actions.kept(np.array([1 + 1e-6, -1 - 1e-6])).tolist() == [1, -1]
    assert Actions(spaces.Discrete(3, start=4)).kept(np.array([5])) == 1


def test_limits_between_which_nothing_is() -> None:
    low = np.array([-1.0, 0.0], np.float32)
    with pytest.raises(UserError, match="an entry can be one number only"):
        Actions(spaces.Box(low, -low))


@pytest.mark.parametrize("policy", [[1.0], [0.5, 0.2, 0.3], [-1, 2], [np.nan, 1], [0, 0]])
def test_probabilities_that_are_none(policy: list[float]) -> None:
    world = GymnasiumWorld(lambda: CorridorEnv(7, TRAIN), 60, policy=lambda env, seen: policy)
    with pytest.raises(UserError, match=r"the policy .*; give .*numbers of at least 0, not all 0"):
        world.demonstrate(1, seed=0)


SPACE = spaces.Dict(
    {
        "at": spaces.MultiDiscrete([3, 2]),
        "kind": spaces.Discrete(2, start=1),
        "speed": spaces.Box(-1, 1, (2,), np.float32),
    }
)
SEEN = {"at": np.array([2, 1]), "kind": 2, "speed": np.array([0.5, -1.0])}


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"at": [3, 0]}, "at"),
        ({"at": [0, 0.5]}, "at"),
        ({"at": [0]}, "at"),
        ({"kind": 0}, "kind"),
        ({"kind": "first"}, "kind"),
        ({"speed": [0, np.nan]}, "speed"),
        ({"speed": [0, 1.1]}, "speed"),
        ({"speed": [0, 0, 0]}, "speed"),
    ],
)
def test_observations_outside_their_space(change: dict[str, Any], where: str) -> None:
    columns = Columns(SPACE)
    assert columns.encode(SEEN).tolist() == [2, 4, 6, 0.5, -1]
    with pytest.raises(UserError, match=f"in '{where}', which is not in the environment's"):
        columns.encode(SEEN | change)


def test_parts_that_an_observation_lacks_are_named() -> None:
    with pytest.raises(UserError, match=r"no 'at', or it is no array; .* has MultiDiscrete"):
        Columns(SPACE).encode({"kind": 2})
    free = Columns(spaces.Box(-np.inf, np.inf, (1,), np.float64))
    with pytest.raises(UserError, match="an observation has"):
        free.encode([np.inf])


@pytest.mark.parametrize(
    "space",
    [
        spaces.Dict({}),
        spaces.Dict({"a": spaces.Dict({"b": spaces.Discrete(2)}), "a.b": spaces.Discrete(2)}),
    ],
)
def test_spaces_without_columns_or_with_two_of_a_name(space: spaces.Space) -> None:
    with pytest.raises(UserError, match="give each a name of its own"):
        Columns(space)


def test_a_scale_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"scale 0\.0; take a positive one"):
        Columns(SPACE, scales={"speed": 0.0})


def test_the_held_out_environment_has_the_same_spaces() -> None:
    world = GymnasiumWorld(DriftEnv, 20, pushed, heldout=lambda: DriftEnv(-2.0))
    with pytest.raises(UserError, match=r"heldout has action_space Box\(-2\.0.*, and env Box\(-1"):
        world.vector_env(2)


def test_an_expert_that_never_succeeds_is_not_waited_for() -> None:
    lazy = GymnasiumWorld(DriftEnv, 5, lambda env, seen, rng: np.zeros(2), success=lambda *_: False)
    with pytest.raises(UserError, match="completed its task in 0 of 200 episodes within 5 steps"):
        lazy.demonstrate(3, seed=0)


def test_how_exact_labels_are_goes_with_the_demonstrations(tmp_path: Path) -> None:
    vague = GymnasiumWorld(
        DriftEnv, 20, pushed, subgoals=("home",), subgoal=lambda env: 0, boundary_tolerance=2
    )
    shown = vague.demonstrate(4, seed=0)
    assert shown.tolerance == shown.rows(slice(2)).tolerance == 2
    assert Trajectories.from_arrays(shown.arrays()).tolerance == 2
    assert make_world(CONFIG).demonstrate(2, seed=0).tolerance == 0
    with pytest.raises(UserError, match="boundary_tolerance 20; take 0 to 19"):
        GymnasiumWorld(DriftEnv, 20, pushed, boundary_tolerance=20)

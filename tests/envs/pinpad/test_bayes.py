"""The exact filter: against brute force, against known numbers, and calibrated."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest

from irl_lens.envs.pinpad.bayes import accuracy, nll
from irl_lens.envs.pinpad.world import PinpadWorld
from irl_lens.envs.protocol import Floor
from irl_lens.envs.registry import PinpadConfig
from irl_lens.envs.trajectories import Trajectories

MOVES = [(-1, 0), (0, 1), (1, 0), (0, -1)]


class SlowBoard:
    """One board in plain Python, written without the package's planner or rules."""

    def __init__(self, size: int, colours: list[int], walls: list[int]) -> None:
        self.size, self.colours, self.walls = size, colours, set(walls)

    def to(self, cell: int, action: int) -> int:
        row, column = cell // self.size + MOVES[action][0], cell % self.size + MOVES[action][1]
        inside = 0 <= row < self.size and 0 <= column < self.size
        there = row * self.size + column
        return there if inside and there not in self.walls else cell

    def steps(self, cell: int, goal: int) -> float:
        """Fewest steps to enter the goal; breadth first."""
        queue, seen = deque([(cell, 0)]), {cell}
        while queue:
            here, count = queue.popleft()
            for action in range(4):
                there = self.to(here, action)
                if there == here:
                    continue
                if there == self.colours[goal]:
                    return count + 1
                if there not in seen and there not in self.colours:
                    seen.add(there)
                    queue.append((there, count + 1))
        return float("inf")

    def policy(self, cell: int, goal: int, epsilon: float) -> list[float]:
        cost, harmless = [], []
        for action in range(4):
            there = self.to(cell, action)
            wrong = there != cell and there in self.colours and there != self.colours[goal]
            lost = there != cell and there != self.colours[goal]
            lost = lost and self.steps(there, goal) == float("inf")
            harmless.append(not wrong and not lost)
            if wrong or there == cell:
                cost.append(float("inf"))
            else:
                cost.append(0 if there == self.colours[goal] else self.steps(there, goal))
        best = [c == min(cost) < float("inf") for c in cost]
        return [
            (1 - epsilon) * b / sum(best) + epsilon * h / sum(harmless)
            for b, h in zip(best, harmless, strict=True)
        ]

    def length(self, start: int, goals: tuple[int, ...]) -> float:
        cells = [start, *(self.colours[g] for g in goals)]
        return sum(self.steps(cell, goal) for cell, goal in zip(cells, goals, strict=False))


def slow_filter(world: PinpadWorld, shown: Trajectories, row: int, epsilon: float) -> list:
    """Task posterior and action probabilities at each step, by enumeration of the tasks."""
    colours = world.config.colours
    objects = shown.extras["objects"][row].tolist()
    board = SlowBoard(world.config.size, objects[:colours], objects[colours:])
    start = int(shown.extras["start"][row])
    tasks = [world.grammar.colours(t) for t in world.grammar.train]
    weights = [float(board.length(start, t) <= world.horizon) for t in tasks]
    done, cell, beliefs = [0] * len(tasks), start, []
    for action in shown.actions[row, : shown.lengths[row]].tolist():
        total, predicted = sum(weights), np.zeros(4)
        for k, goals in enumerate(tasks):
            if weights[k]:
                policy = board.policy(cell, goals[done[k]], epsilon)
                predicted += weights[k] / total * np.array(policy)
        beliefs.append((np.array(weights) / total, predicted))
        there = board.to(cell, action)
        for k, goals in enumerate(tasks):
            if weights[k]:
                weights[k] *= board.policy(cell, goals[done[k]], epsilon)[action]
                done[k] += there != cell and there == board.colours[goals[done[k]]]
                # The episode goes on, so a task that would be complete is not the one.
                last = len(beliefs) == shown.lengths[row]
                weights[k] *= last or done[k] < len(goals)
        cell = there
    return beliefs


@pytest.mark.parametrize("epsilon", [0.0, 0.25])
@pytest.mark.parametrize(
    "config",
    [
        PinpadConfig(4, 4, 2, 40, "paper-ant"),
        PinpadConfig(5, 8, 2, 60),
        PinpadConfig(3, 4, 1, 14, "paper-ant"),
    ],
    ids=["ant", "grid", "tiny"],
)
def test_equal_to_brute_force(config: PinpadConfig, epsilon: float) -> None:
    world = PinpadWorld(config)
    shown = world.demonstrate(12, seed=0, epsilon=epsilon)
    floor = world.floor(shown, epsilon=epsilon)
    for row in range(len(shown)):
        for step, (tasks, probs) in enumerate(slow_filter(world, shown, row, epsilon)):
            np.testing.assert_allclose(floor.require("tasks")[row, step], tasks, atol=1e-12)
            np.testing.assert_allclose(floor.require("probs")[row, step], probs, atol=1e-12)


@pytest.fixture(scope="module")
def grid() -> tuple[Trajectories, Floor]:
    """The paper's grid."""
    world = PinpadWorld(PinpadConfig())
    shown = world.demonstrate(1_500, seed=0)
    return shown, world.floor(shown)


def test_known_numbers_of_the_paper_s_grid(grid: tuple[Trajectories, Floor]) -> None:
    shown, floor = grid
    assert nll(floor.require("probs"), shown.actions, shown.mask) == pytest.approx(0.253, abs=0.01)
    assert nll(floor.require("known_probs"), shown.actions, shown.mask) == pytest.approx(
        0.169, abs=0.008
    )
    assert accuracy(floor.require("probs"), shown.actions, shown.mask) == pytest.approx(
        0.844, abs=0.01
    )
    assert accuracy(floor.require("known_probs"), shown.actions, shown.mask) == pytest.approx(
        0.880, abs=0.01
    )
    assert accuracy(floor.require("visits"), shown.require("visits"), shown.mask) == pytest.approx(
        0.855, abs=0.012
    )


def test_known_numbers_of_a_small_world_with_single_colour_subgoals() -> None:
    world = PinpadWorld(PinpadConfig(5, 4, 2, 100, "paper-ant"))
    shown = world.demonstrate(3_000, seed=0)
    floor = world.floor(shown)
    assert nll(floor.require("probs"), shown.actions, shown.mask) == pytest.approx(0.420, abs=0.012)
    assert nll(floor.require("known_probs"), shown.actions, shown.mask) == pytest.approx(
        0.170, abs=0.012
    )


def test_beliefs_are_distributions_and_zero_on_padding(grid: tuple[Trajectories, Floor]) -> None:
    shown, floor = grid
    for name in ("probs", "known_probs", "subgoals", "visits", "tasks"):
        totals = floor.require(name).sum(axis=2)
        np.testing.assert_allclose(totals, shown.mask.astype(float), atol=1e-9)


def test_the_belief_only_ever_loses_tasks_and_begins_uniform(
    grid: tuple[Trajectories, Floor],
) -> None:
    shown, floor = grid
    alive = floor.require("tasks") > 0
    gained = alive[:, 1:] & ~alive[:, :-1] & shown.mask[:, 1:, None]
    assert not gained.any()
    first = floor.require("tasks")[:, 0]
    np.testing.assert_allclose(first, alive[:, 0] / alive[:, 0].sum(1, keepdims=True))
    truth = np.take_along_axis(
        floor.require("tasks"), shown.require("tasks")[:, None, None], axis=2
    )[..., 0]
    assert (truth[shown.mask] > 0).all()


@pytest.mark.parametrize("epsilon", [0.0, 0.2])
def test_the_posterior_is_calibrated(epsilon: float) -> None:
    world = PinpadWorld(PinpadConfig(5, 4, 2, 200, "paper-ant"))
    shown = world.demonstrate(3_000, seed=1, epsilon=epsilon)
    floor, mask = world.floor(shown, epsilon=epsilon), shown.mask
    pairs = (
        (floor.require("visits"), shown.require("visits")),
        (floor.require("probs"), shown.actions),
    )
    for belief, label in pairs:
        said = belief[mask].ravel()
        came = (label[..., None] == np.arange(belief.shape[2]))[mask].ravel()
        for low in np.arange(0.05, 0.95, 0.1):
            rows = (said > low) & (said <= low + 0.1)
            if rows.sum() > 300:
                assert abs(said[rows].mean() - came[rows].mean()) < 0.05
        sure = said > 1 - 1e-12
        assert came[sure].all() and not came[said < 1e-300].any()


def test_mean_surprise_equals_mean_entropy(grid: tuple[Trajectories, Floor]) -> None:
    shown, floor = grid
    for probs in (floor.require("probs"), floor.require("known_probs")):
        p = probs[shown.mask]
        entropy = -np.where(p > 0, p * np.log(np.where(p > 0, p, 1)), 0).sum(axis=1)
        surprise = nll(probs, shown.actions, shown.mask)
        assert surprise == pytest.approx(entropy.mean(), abs=0.01)


def test_no_task_of_the_prior_allows_the_held_out_one(grid: tuple[Trajectories, Floor]) -> None:
    world = PinpadWorld(PinpadConfig())
    shown = world.demonstrate(20, seed=0, task="heldout")
    with pytest.raises(ValueError, match="no task of the prior allows"):
        world.floor(shown)
    floor = world.floor(shown, prior="heldout")
    np.testing.assert_allclose(floor.require("probs"), floor.require("known_probs"))

"""The ant's filter is Bayes' rule: against sums over all tasks written out, episode by episode."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from irl_lens.envs.ant.bayes import log_densities, posterior
from irl_lens.envs.trajectories import Trajectories

GOALS = np.array([[0, 1, -1], [0, 2, -1], [1, 0, -1], [2, 0, -1]])
N, STEPS, COLOURS, SIZE = 40, 7, 3, 2


def episodes(seed: int = 0) -> tuple[Trajectories, np.ndarray, np.ndarray]:
    """Episodes of tasks drawn from those possible, whose expert's means are anything."""
    rng = np.random.default_rng(seed)
    possible = rng.random((N, 4)) < 0.7
    possible[:, 0] = True
    tasks = np.array([rng.choice(np.flatnonzero(row)) for row in possible])
    lengths = rng.integers(2, STEPS + 1, N)
    mask = np.arange(STEPS) < lengths[:, None]
    turn = np.array([rng.integers(1, length) for length in lengths])
    progress = np.where(mask, np.arange(STEPS) >= turn[:, None], 2).astype(np.int64)
    visits = np.where(mask, GOALS[tasks[:, None], np.minimum(progress, 1)], -1)
    means = 0.6 * rng.normal(size=(N, STEPS, COLOURS, SIZE))
    deviations = np.where(mask[..., None], rng.uniform(0.5, 1.5, (N, STEPS, SIZE)), 0)
    meant = np.take_along_axis(means, np.maximum(visits, 0)[..., None, None], axis=2)[:, :, 0]
    actions = meant + deviations * rng.normal(size=meant.shape)
    policy = np.concatenate([meant, deviations], axis=-1).astype(np.float32)
    shown = Trajectories(
        np.zeros((N, STEPS, 1), np.float32), actions.astype(np.float32), mask, policy,
        visits, visits, progress, tasks,
    )  # fmt: skip
    return shown, means, possible


def density(shown: Trajectories, means: np.ndarray, row: int, step: int, colour: int) -> float:
    deviations = shown.require("policy")[row, step, SIZE:].astype(float)
    z = (shown.actions[row, step] - means[row, step, colour]) / deviations
    return float(np.exp(-0.5 * z**2).prod() / (math.sqrt(2 * math.pi) ** SIZE * deviations.prod()))


def test_it_is_bayes_rule_written_out() -> None:
    shown, means, possible = episodes()
    floor = posterior(shown, means, GOALS, possible)
    for row in range(N):
        joint = possible[row].astype(float)
        for step in range(int(shown.lengths[row])):
            stage = shown.require("progress")[row, step]
            if step and stage > shown.require("progress")[row, step - 1]:
                joint *= GOALS[:, stage - 1] == shown.require("visits")[row, step - 1]
            belief = joint / joint.sum()
            assert_allclose(floor.require("tasks")[row, step], belief, atol=1e-9)
            each = [density(shown, means, row, step, c) for c in GOALS[:, stage]]
            assert_allclose(floor.nll[row, step], -math.log(belief @ each), atol=1e-6)
            colours = [belief[GOALS[:, stage] == c].sum() for c in range(COLOURS)]
            assert_allclose(floor.require("subgoals")[row, step], colours, atol=1e-9)
            true = density(shown, means, row, step, shown.require("visits")[row, step])
            assert_allclose(floor.known[row, step], -math.log(true), atol=1e-6)
            joint = joint * each


def test_padding_is_zero_and_beliefs_are_probabilities() -> None:
    shown, means, possible = episodes()
    floor = posterior(shown, means, GOALS, possible)
    for name in ("tasks", "subgoals", "visits"):
        assert_allclose(floor.require(name).sum(axis=2), shown.mask, atol=1e-12)
    assert not floor.nll[~shown.mask].any() and not floor.known[~shown.mask].any()


def test_what_it_loses_is_at_most_the_entropy_of_the_prior() -> None:
    gaps = []
    for seed in range(20):
        shown, means, possible = episodes(seed)
        floor = posterior(shown, means, GOALS, possible)
        gaps.append((floor.nll - floor.known).sum(axis=1) - np.log(possible.sum(axis=1)))
    gap = np.concatenate(gaps)
    # -ln p(own task | all) = ln(number possible) - gap, less what visits tell by themselves.
    assert (gap < 1e-6).all() and gap.mean() < -0.1


def test_far_apart_goals_do_not_overflow() -> None:
    shown, means, possible = episodes()
    floor = posterior(shown, 1e3 * means, GOALS, possible)
    assert np.isfinite(floor.known).all() and np.isfinite(floor.require("tasks")).all()


def test_an_impossible_trajectory_is_refused() -> None:
    shown, means, possible = episodes()
    visits = shown.require("visits").copy()
    row = int(np.flatnonzero(shown.require("tasks") == 2)[0])
    possible[row] = [True, False, False, False]
    with pytest.raises(ValueError, match=f"trajectory {row} did"):
        posterior(replace(shown, visits=visits), means, GOALS, possible)


def test_densities_are_those_of_independent_gaussians() -> None:
    rng = np.random.default_rng(0)
    actions, means = rng.normal(size=(1, 3, 2)), rng.normal(size=(1, 3, 4, 2))
    found = log_densities(actions, means, np.full((1, 3, 2), 0.5))
    z = ((actions[:, :, None] - means) / 0.5) ** 2
    assert_allclose(found, (-0.5 * z - np.log(0.5 * math.sqrt(2 * math.pi))).sum(axis=-1))

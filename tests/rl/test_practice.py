"""A skill is learned, goes on where it was stopped, and its advantages are the textbook's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from irl_lens.envs.practice import Lesson, Practice, PracticeRows, Practised
from irl_lens.errors import UserError
from irl_lens.files.tensors import load_tensors
from irl_lens.progress import QuietProgress
from irl_lens.rl.practice.actor_critic import ActorCritic, log_density
from irl_lens.rl.practice.advantages import generalised_advantages
from irl_lens.rl.practice.job import PracticeJob
from irl_lens.rl.practice.training import train_skill
from irl_lens.runs.stage import Stage


class Pulling:
    """Points on a line, to be pulled to a goal; beyond 3 they are lost, and after 20 steps cut."""

    columns, views = 2, np.zeros((1, 1), np.int64)

    def __init__(self, rows: int) -> None:
        self.at: np.ndarray = np.zeros(rows)
        self.goal, self.age = np.zeros(rows), np.zeros(rows, np.int64)

    def begin(self, rng: np.random.Generator) -> None:
        self._restart(np.full(len(self.at), True), rng)

    def observe(self) -> np.ndarray:
        seen = [np.ones_like(self.at), self.at, self.goal]
        return np.stack(seen, axis=1).astype(np.float32)[:, None]

    def step(self, actions: np.ndarray, rng: np.random.Generator) -> Practised:
        self.at, self.age = self.at + np.clip(actions[:, 0], -1, 1), self.age + 1
        ended = np.abs(self.at) > 3
        off: np.ndarray = np.abs(self.at - self.goal)
        cut = ~ended & (self.age >= 20)
        last = self.observe()[cut]
        self._restart(ended | cut, rng)
        return Practised(-off - 5.0 * ended, ended, cut, last, {"off": off})

    def state(self) -> dict[str, np.ndarray]:
        return {name: each.copy() for name, each in vars(self).items()}

    def load(self, state: Mapping[str, Any]) -> None:
        self.at, self.goal, self.age = (state[name].copy() for name in ("at", "goal", "age"))

    def _restart(self, rows: np.ndarray, rng: np.random.Generator) -> None:
        self.at[rows] = rng.uniform(-2, 2, rows.sum())
        self.goal[rows] = rng.uniform(-2, 2, rows.sum())
        self.age[rows] = 0


class Pull:
    def __init__(self, iterations: int) -> None:
        self.lessons = (
            Lesson("first", iterations, rows=32, steps=16, rate=3e-3),
            Lesson("second", 3, rows=32, steps=16),
        )

    def rows(self, lesson: str) -> Pulling:
        return Pulling(32)

    def measure(self, weights: Mapping[str, Any]) -> dict[str, float]:
        return {"deviation": float(np.exp(weights["log_std"][0]))}


class Stopping(QuietProgress):
    """Presses Ctrl-C once, in the middle."""

    def __init__(self, at: int) -> None:
        self.left = at

    def update(self, step: int, **shown: float) -> None:
        self.left -= 1
        if self.left == 0:
            import signal

            signal.raise_signal(signal.SIGINT)


def test_the_fakes_are_what_they_stand_for() -> None:
    assert isinstance(Pulling(1), PracticeRows) and isinstance(Pull(1), Practice)


def test_a_skill_is_learned(tmp_path: Path) -> None:
    train_skill(Pull(25), tmp_path, 0, QuietProgress())
    curve = [row["off"] for row in Stage(tmp_path / "first").metrics()]
    assert curve[0] > 1.0 and curve[-1] < 0.7
    lines = [json.loads(line) for line in (tmp_path / "curve.jsonl").read_text().splitlines()]
    assert [line["lesson"] for line in lines][-1] == "second"
    assert lines[-1]["samples"] == (25 + 3) * 32 * 16
    assert 0 < json.loads((tmp_path / "measured.json").read_text())["deviation"] < 0.6


def test_an_interrupted_training_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole = train_skill(Pull(4), tmp_path / "whole", 7, QuietProgress())
    with pytest.raises(KeyboardInterrupt):
        train_skill(Pull(4), tmp_path / "cut", 7, Stopping(3))
    cut = train_skill(Pull(4), tmp_path / "cut", 7, QuietProgress())
    one, other = load_tensors(whole)[0], load_tensors(cut)[0]
    assert one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)
    assert load_tensors(whole)[1]["seed"] == "7"


def test_a_folder_goes_on_as_it_was_begun(tmp_path: Path) -> None:
    world = {"kind": "pull", "limits": (1.0, 2.0)}
    one = train_skill(Pull(1), tmp_path / "a", 0, QuietProgress(), world).read_bytes()
    assert load_tensors(train_skill(Pull(1), tmp_path / "a", 0, QuietProgress(), world))[0]
    with pytest.raises(UserError, match=r'was begun with {"seed": 0}, and not {"seed": 1}; give'):
        train_skill(Pull(1), tmp_path / "a", 1, QuietProgress(), world)
    with pytest.raises(UserError, match=r'"limits": \[1.0, 2.0\].*"limits": \[3.0\].*--out'):
        train_skill(Pull(1), tmp_path / "a", 0, QuietProgress(), world | {"limits": (3.0,)})
    assert (tmp_path / "a" / "skill.safetensors").stat().st_size == len(one)


def test_seeds_differ(tmp_path: Path) -> None:
    one, other = (
        load_tensors(train_skill(Pull(1), tmp_path / str(seed), seed, QuietProgress()))[0]
        for seed in (0, 1)
    )
    assert not torch.equal(one["actor.0.weight"], other["actor.0.weight"])


def test_advantages_are_sums_of_discounted_rewards_less_the_critic() -> None:
    generator = torch.Generator().manual_seed(0)
    rewards, values = (torch.randn(k, 2, generator=generator) for k in (4, 5))
    over = torch.tensor([[0, 0], [1, 0], [0, 0], [0, 0]], dtype=torch.bool)
    found = generalised_advantages(rewards, values, over, 0.9, 1.0)
    first = rewards[0, 0] + 0.9 * rewards[1, 0] - values[0, 0]
    discounts = 0.9 ** torch.arange(5)
    second = (discounts[:4] * rewards[:, 1]).sum() + discounts[4] * values[4, 1] - values[0, 1]
    torch.testing.assert_close(found[0], torch.stack([first, second]))
    found = generalised_advantages(rewards, values, over, 0.9, 0.0)
    torch.testing.assert_close(found[1, 0], rewards[1, 0] - values[1, 0])


def test_a_stopped_row_counts_as_going_on_from_its_last_observation() -> None:
    rows = Pulling(8)
    job = PracticeJob(
        ActorCritic(2, torch.zeros(1, 1, dtype=torch.long)),
        rows,
        Lesson("cut", 1, rows=8, steps=21),
        0,
    )
    rows.age = np.full(8, 19)
    batch, _ = job._play(np.random.default_rng(0), torch.Generator().manual_seed(0))
    assert torch.isfinite(batch.returns).all() and batch.seen.shape == (21 * 8, 1, 3)
    scored = job.network.log_prob(batch.seen, batch.actions)
    torch.testing.assert_close(scored, batch.old)


def test_densities_are_torchs() -> None:
    actions, mean, log_std = torch.randn(3, 5, 4).split(1)[0][0], torch.randn(5, 4), torch.randn(4)
    normal = torch.distributions.Independent(torch.distributions.Normal(mean, log_std.exp()), 1)
    torch.testing.assert_close(log_density(actions, mean, log_std), normal.log_prob(actions))


def test_views_count_by_their_weights_each_in_its_own_order() -> None:
    network = ActorCritic(3, torch.tensor([[0, 1], [1, 0]]))
    seen = torch.randn(5, 2, 4)
    one, other = (network.actor(seen[:, view, 1:]) for view in range(2))
    expected = seen[:, 0, :1] * one + seen[:, 1, :1] * other.flip(1)
    torch.testing.assert_close(network.mean(seen), expected)
    values = [seen[:, view, 0] * network.critic(seen[:, view, 1:])[:, 0] for view in range(2)]
    torch.testing.assert_close(network.values(seen), values[0] + values[1])


def test_the_least_deviation_is_kept() -> None:
    network = ActorCritic(3, torch.zeros(1, 2, dtype=torch.long))
    with torch.no_grad():
        network.log_std.copy_(torch.tensor([-9.0, -0.5]))
    network.clamp(0.3)
    torch.testing.assert_close(network.log_std.exp(), torch.tensor([0.3, np.exp(-0.5)]).float())

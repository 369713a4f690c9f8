"""Rate and distortion of runs whose gate and code are planted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import isnan
from pathlib import Path

import numpy as np
import pytest

from irl_lens.analyses.codes.rate_distortion import rate_distortion
from irl_lens.analyses.codes.rate_distortion_point import controlled_nll
from irl_lens.config.presets import preset
from irl_lens.config.schema import BaseConfig, DiscoveryConfig
from irl_lens.errors import UserError
from irl_lens.files.tensors import CheckpointError, join_parts
from irl_lens.models.fast import FastPath
from irl_lens.models.metacontroller import Metacontroller
from irl_lens.models.trace import encode
from irl_lens.runs.run import Run
from irl_lens.training.batches import Batch
from irl_lens.training.discovery import evaluate
from tests.analyses.conftest import Steered

EPISODES = 60
Planter = Callable[..., Run]


def gated(steered: Steered, bias: float, mu: float) -> Metacontroller:
    """Opens on the cells that end subgoals, never with a low bias, always with a high one."""
    config = DiscoveryConfig(layer=1, history=2, sequence=2, hidden=1, latent=4, decoder="linear")
    meta = Metacontroller(config, 24).requires_grad_(False)
    for parameter in meta.parameters():
        parameter.zero_()
    meta.encoder.mu.bias.fill_(mu)
    meta.switch.stream.weight.copy_(steered.meta.switch[0].weight[:, :24])  # type: ignore[index]
    meta.switch.stream.bias.fill_(-1)
    meta.switch.out.weight.fill_(10)
    meta.switch.out.bias.fill_(bias)
    return meta


@pytest.fixture
def planted(steered: Steered, tmp_path: Path) -> Planter:
    """Makes a run whose discovery left a gate of our making."""
    model = steered.field.base.model
    chosen = replace(
        preset("smoke"),
        world=steered.field.world.config,  # type: ignore[attr-defined]
        base=BaseConfig(d_model=24, n_layers=1, n_heads=1, d_mlp=4),
    )

    def plant(alpha: float, seed: int, cotrained: bool, bias: float = -3.0, mu: float = 1) -> Run:
        meta = gated(steered, bias, mu)
        settings = replace(meta.config, alpha=((0.0, 1e-3), (1.0, alpha)), base_lr=1e-3 * cotrained)
        folder = tmp_path / f"{alpha}-{seed}-{cotrained}"
        run = Run.create(folder, replace(chosen, discovery=settings), seed)
        run.stage("base").finish(model.weights(), {})
        weights = meta.state_dict()
        if cotrained:
            weights = join_parts(meta=weights, base=model.weights())
        run.stage("metacontroller").finish(weights, {})
        return run

    return plant


def test_a_planted_gate_is_aligned_and_its_rate_is_known(planted: Planter) -> None:
    result = rate_distortion([planted(0.2, 0, False)], episodes=EPISODES)
    (point,) = result.points
    assert (point.alpha, point.seed, point.cotrained) == (0.2, 0, False)
    # mu = 1 in each of 4 dimensions, sigma = 1: a KL of 4 / 2 at every step.
    assert point.rate.value == pytest.approx(2) and point.rate.high == pytest.approx(2)
    assert point.f1.value > 0.9 and point.aligned and point.split > 0.9
    assert point.switches.value == pytest.approx(result.boundaries, rel=0.2)
    # The decoder is 0: codes buy nothing.
    assert point.distortion.value == pytest.approx(point.without.value, abs=1e-6)
    assert "aligned in 1 of 1" in result.caption() and "no co-trained" in result.caption()
    assert isnan(result.p)
    (claim,) = result.claims()
    assert claim.effect > 0.8 and claim.p < 1e-6


def runs(planted: Planter, biases: dict[bool, float]) -> list[Run]:
    return [
        planted(alpha, seed, cotrained, biases[cotrained], mu=alpha)
        for cotrained in (False, True)
        for alpha in (0.1, 0.5, 1.0)
        for seed in (0, 1)
    ]


def test_what_training_the_base_takes_away_is_found(planted: Planter, tmp_path: Path) -> None:
    made = runs(planted, {False: -3.0, True: -100.0})  # the co-trained gate stays shut
    result = rate_distortion(made[::-1], episodes=EPISODES)
    assert result.bases == 1
    assert [p.aligned for p in result.points] == [True] * 6 + [False] * 6
    assert [p.alpha for p in result.of(True)] == [0.1, 0.1, 0.5, 0.5, 1.0, 1.0]
    assert {p.switches.value for p in result.of(True)} == {0.0}
    assert result.p == pytest.approx(2 / 2**6)  # all swaps of six pairs
    caption = result.caption()
    assert "aligned in 6 of 6" in caption and "aligned in none of 6" in caption
    assert "may be chance" not in caption
    assert result.claims()[2].effect > 0.8
    assert len(result.to_dataframe()) == 12
    assert result.save(tmp_path / "result").is_file()
    # For each base: a line through medians and the points, in both panels; and a legend.
    assert len(result.figure().to_dict()["data"]) == 9


@pytest.mark.parametrize("bias", [-100.0, 100.0])
def test_a_gate_that_knows_nothing_is_not_aligned(planted: Planter, bias: float) -> None:
    """Shut, or open at every step: then all boundaries are hit, as by any other such gate."""
    made = runs(planted, {False: bias, True: bias})
    result = rate_distortion(made, episodes=EPISODES)
    assert not any(point.aligned for point in result.points)
    assert result.p == 1.0 and "may be chance" in result.caption()
    assert all(not claim.p < 0.05 for claim in result.claims())


def test_distortion_is_the_loss_of_discovery(smoke_run: Run) -> None:
    world, model = smoke_run.world, smoke_run.base
    meta, base, sample = smoke_run.discovered, FastPath(model), world.demonstrate(20, 3)
    trace = encode(meta, base, sample)
    nll = controlled_nll(meta, base, sample, trace)
    terms = evaluate(meta, base, Batch.of(sample), None)
    assert nll[sample.mask].mean() == pytest.approx(float(terms.nll), rel=1e-4)
    assert trace.kl()[sample.mask].mean() == pytest.approx(float(terms.kl), rel=1e-4)
    assert (nll[~sample.mask] == 0).all()


def test_runs_that_do_not_belong_together_are_refused(planted: Planter) -> None:
    one, other = planted(0.1, 0, False), planted(0.5, 0, False)
    config = one.config | {"preset": one.preset.to_dict()}
    config["preset"]["discovery"]["steps"] = 7
    with pytest.raises(UserError, match=r"discovery\.steps = 64000 .*discovery\.steps = 7"):
        rate_distortion([other, Run(one.folder, config)])
    trained = planted(0.1, 0, True)
    config = trained.config | {"preset": trained.preset.to_dict()}
    config["preset"]["discovery"]["base_lr"] = 0.5
    with pytest.raises(UserError, match=r"base_lr = 0.001 .*base_lr = 0.5"):
        rate_distortion([one, trained, Run(trained.folder, config)])
    with pytest.raises(UserError, match="at least one run"):
        rate_distortion([])
    (one.stage("metacontroller").folder / "result.json").unlink()
    with pytest.raises(CheckpointError, match="metacontroller"):
        rate_distortion([one])


def test_codes_that_are_drawn_are_the_same_each_time(smoke_run: Run) -> None:
    first, second = (rate_distortion([smoke_run], episodes=30) for _ in range(2))
    assert first == second
    assert first.points[0].rate != rate_distortion([smoke_run], episodes=30, seed=1).points[0].rate
    assert np.isfinite(first.points[0].distortion.value)

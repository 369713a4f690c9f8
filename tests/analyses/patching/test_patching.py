"""Patching against plain TransformerLens loops, on a tiny untrained model."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.patching.attribution import attribute_patches, attribution, correlation
from irl_lens.analyses.patching.contrast import BY_HEAD, HOOKS, Contrast, Setting, in_parts
from irl_lens.analyses.patching.direct import attribute_logits, direct_terms
from irl_lens.analyses.patching.grid import Grid
from irl_lens.analyses.patching.lens import action_lens, lens_differences, lens_logits, streams
from irl_lens.analyses.patching.metrics import (
    METRICS,
    Readout,
    Way,
    effect,
    kl,
    logit_difference,
    normalized,
    probability,
)
from irl_lens.analyses.patching.pairs import make_pairs
from irl_lens.analyses.patching.path import patch_paths, paths
from irl_lens.analyses.patching.sweep import Swept, grids_of, sweep, sweep_patches, unrelated
from irl_lens.config.schema import BaseConfig
from irl_lens.envs.registry import PinpadConfig, make_world
from irl_lens.envs.spaces import ContinuousActions
from irl_lens.errors import UserError
from irl_lens.hooks import VectorController
from irl_lens.models.base import TrajectoryModel
from irl_lens.runs.run import find_run

LAGS = 3


@pytest.fixture(scope="module")
def contrast() -> Contrast:
    """Five pairs, and an untrained base whose weights are large enough to act on them."""
    world = make_world(PinpadConfig(observation="onehot"))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = BaseConfig(d_model=16, n_layers=3, n_heads=2, d_mlp=32)
        model = TrajectoryModel(config, world.observation, world.actions).frozen()
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.3)
    pairs = make_pairs(world, "swap", 5, seed=0, earliest=LAGS - 1)
    return Contrast.of(model.hooked, pairs, "logit difference")


@pytest.mark.parametrize("part", [1, 2, 5])
def test_pairs_in_parts_are_what_they_are_together(contrast: Contrast, part: int) -> None:
    parts = list(in_parts(contrast.model, contrast.pairs, contrast.metric, part=part))
    assert max(len(each.pairs) for each in parts) <= part
    assert sum(len(each.pairs) for each in parts) == 5
    whole = Swept.of(contrast, ("residual pre", "head z"), LAGS)
    joined = Swept.joined([Swept.of(each, tuple(whole.effects), LAGS) for each in parts])
    for name, effects in whole.effects.items():
        np.testing.assert_allclose(joined.effects[name], effects, atol=1e-4)
        assert joined.null[name].shape == whole.null[name].shape
    np.testing.assert_allclose(joined.total, whole.total, atol=1e-4)
    assert joined.changed == pytest.approx(whole.changed) and joined.changes == whole.changes


def put(x: Tensor, hook: Any, value: Tensor, step: int, head: int | None, key: bool) -> Tensor:
    """Replaces one place of one episode, as one would by hand."""
    x = x.clone()
    if head is None:
        x[0, step] = value[step]
    elif key:
        x[0, head, step] = value[head, step]
    else:
        x[0, step, head] = value[step, head]
    return x


def read(contrast: Contrast, row: int, at: Tensor) -> float:
    """The metric of one pair."""
    one = contrast.readout
    if isinstance(one, Way):
        return float(at @ one.along[row])
    return float(at[one.clean_action[row]] - at[one.other_action[row]])


def by_hand(contrast: Contrast, component: str) -> np.ndarray:
    """Patches episode by episode, place by place, with whole forwards."""
    model, cfg, values = contrast.model, contrast.model.cfg, []
    heads = range(cfg.n_heads) if component in BY_HEAD else [None]
    for layer in range(cfg.n_layers):
        name = f"blocks.{layer}.{HOOKS[component]}"
        for head in heads:
            for lag in range(LAGS):
                for row, decision in enumerate(contrast.pairs.decisions):
                    observation = torch.from_numpy(contrast.pairs.corrupted[row : row + 1])
                    value, step = contrast.clean[name][row], int(decision) - lag
                    hook = partial(
                        put, value=value, step=step, head=head, key=component == "pattern"
                    )
                    logits = model.run_with_hooks(observation, fwd_hooks=[(name, hook)])
                    values.append(read(contrast, row, logits[0, decision]))
    patched = np.array(values).reshape(-1, LAGS, len(contrast.pairs))
    return effect(patched, np.broadcast_to(contrast.values[1], patched.shape))


@pytest.mark.parametrize("component", HOOKS)
@pytest.mark.parametrize("real", [False, True], ids=["", "real actions"])
def test_a_sweep_is_the_plain_loop(contrast: Contrast, component: str, real: bool) -> None:
    if real:
        means = ContinuousActions(2)
        contrast = Contrast.of(contrast.model, contrast.pairs, "mean action", means)
    with torch.no_grad():
        expected = by_hand(contrast, component)
    found = sweep(contrast, [component], LAGS)[component]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(expected).max() > 1e-3


@pytest.mark.parametrize("component", HOOKS)
def test_patching_a_run_from_itself_does_nothing(contrast: Contrast, component: str) -> None:
    same = replace(contrast, clean=contrast.corrupted)
    np.testing.assert_allclose(sweep(same, [component], LAGS)[component], 0, atol=1e-6)


@pytest.mark.parametrize("metric", METRICS)
def test_the_last_stream_at_the_decision_restores_everything(
    contrast: Contrast, metric: str
) -> None:
    other = Contrast.of(contrast.model, contrast.pairs, metric)
    found = sweep(other, ["residual post"], LAGS)["residual post"][-1]
    np.testing.assert_allclose(found[0], other.total, atol=1e-6)
    np.testing.assert_allclose(found[1:], 0, atol=1e-6)
    whole = normalized(found[0] + other.values[1], *other.values)
    np.testing.assert_allclose(whole, 1, atol=1e-3)


def without_heads(contrast: Contrast, but: tuple[int, int] | None) -> Contrast:
    """The same model with no head that writes anything, but for one."""
    model = copy.deepcopy(contrast.model)
    with torch.no_grad():
        for layer in range(model.cfg.n_layers):
            for head in range(model.cfg.n_heads):
                if (layer, head) != but:
                    model.blocks[layer].attn.W_O[head] = 0
    return Contrast.of(model, contrast.pairs, contrast.metric)


def test_the_only_head_is_found_and_heads_that_write_nothing_are_not(contrast: Contrast) -> None:
    one = without_heads(contrast, (1, 1))
    effects = sweep(one, ["head z"], LAGS)["head z"]
    (grid,) = grids_of(one, {"head z": effects}, {"head z": np.zeros_like(effects)})
    others = np.delete(grid.shares[0], grid.sites.index("L2H1"), axis=0)
    np.testing.assert_allclose(others, 0, atol=1e-6)
    assert np.abs(grid.shares[0]).max() > 1e-3


def test_what_the_null_does_as_well_is_not_above_it() -> None:
    rng = np.random.default_rng(0)
    total, noise = rng.uniform(1, 2, 10), 0.01 * rng.normal(size=(2, 1, 1, 10))
    for half, said in ((0.0, " above"), (0.5, " not above")):
        grid = Grid.of("mlp out", ("L1",), 0.5 * total + noise[0], half * total + noise[1], total)
        assert f"L1 and the decision: {grid.at(0, 0)},{said} the null's" in grid.sentence()


def test_a_model_without_memory_does_not_act_on_history(contrast: Contrast) -> None:
    world = make_world(PinpadConfig(observation="onehot"))
    blind = without_heads(contrast, None).model
    with pytest.raises(UserError, match="changes nothing of what the base does in 4 pairs"):
        Setting("history", pairs=2, pool=2, lags=LAGS).contrast(world, blind)


def test_the_null_never_looks_ahead(contrast: Contrast) -> None:
    sources, steps = unrelated(contrast, LAGS), contrast.steps(LAGS)
    assert (sources[..., 1] <= steps).all()
    assert (sources[..., 0] != torch.arange(len(contrast.pairs))).all()
    with pytest.raises(ValueError, match="99 lags"):
        contrast.steps(99)


def test_attribution_is_the_slope_of_the_sweep(contrast: Contrast) -> None:
    small, components = 1e-2, list(HOOKS)
    rough = attribution(contrast, components, LAGS)
    near = {
        name: value + small * (contrast.clean[name] - value)
        for name, value in contrast.corrupted.items()
    }
    exact = sweep(replace(contrast, clean=near), components, LAGS)
    for name in components:
        scale = np.abs(rough[name]).max()
        np.testing.assert_allclose(exact[name] / small, rough[name], atol=0.03 * scale)


def test_correlation_is_one_with_itself_and_none_with_noise() -> None:
    rng = np.random.default_rng(0)
    one, noise = rng.normal(size=(2, 6, 4, 10))
    total = np.ones(10)
    same = correlation(one, 2 * one, total)
    assert same.value == pytest.approx(1) and same.low == pytest.approx(1)
    other = correlation(one, noise, total)
    assert other.low < 0 < other.high


def test_terms_add_up_to_the_logits(contrast: Contrast) -> None:
    pairs, model = contrast.pairs, contrast.model
    hook = "blocks.1.hook_resid_post"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        controller = VectorController(torch.randn(model.cfg.d_model), hook)
    at = torch.arange(len(pairs)), torch.from_numpy(pairs.decisions)
    observations = torch.from_numpy(pairs.clean)
    for controllers in ([], [controller]):
        names, terms = direct_terms(model, pairs.clean, pairs.decisions, controllers)
        with torch.no_grad():
            hooks: list[Any] = [pair for c in controllers for pair in c.fwd_hooks()]
            logits = model.run_with_hooks(observations, fwd_hooks=hooks)[at]
        np.testing.assert_allclose(terms.sum(dim=1), logits, atol=1e-5)
        assert ("L2 controller" in names) == bool(controllers)
        assert len(names) == terms.shape[1] == 3 * 3 + 2 + len(controllers)
    with pytest.raises(ValueError, match="hook_embed"):
        direct_terms(
            model, pairs.clean, pairs.decisions, [VectorController(torch.ones(16), "hook_embed")]
        )


def test_a_head_that_writes_nothing_has_a_term_of_nothing(contrast: Contrast) -> None:
    one = without_heads(contrast, (1, 1))
    names, terms = direct_terms(one.model, one.pairs.clean, one.pairs.decisions)
    heads = {n: t for n, t in zip(names, terms.movedim(1, 0), strict=True) if "H" in n}
    assert heads.pop("L2H1").abs().max() > 1e-3
    assert all(not term.any() for term in heads.values())


def test_the_last_layers_lens_is_the_models_output(contrast: Contrast) -> None:
    found = lens_logits(contrast.model, streams(contrast.model, contrast.clean))
    with torch.no_grad():
        expected = contrast.model(torch.from_numpy(contrast.pairs.clean))
    np.testing.assert_allclose(found[-1], expected, atol=1e-6)
    assert len(found) == 4 and not np.allclose(found[-2], expected, atol=1e-2)
    differences = lens_differences(contrast, LAGS, contrast.readout)
    np.testing.assert_allclose(differences[-1, 0], contrast.total, atol=1e-5)


def path_by_hand(contrast: Contrast, sender: tuple[int, int], receiver: tuple[int, int]) -> Any:
    """Two forwards: everything frozen but the sender, then the receiver's query put in."""
    model, kept = contrast.model, {}
    observations = torch.from_numpy(contrast.pairs.corrupted)

    def freeze(x: Tensor, hook: Any) -> Tensor:
        x = contrast.corrupted[hook.name].clone()
        if hook.name == f"blocks.{sender[0]}.attn.hook_z":
            x[:, :, sender[1]] = contrast.clean[hook.name][:, :, sender[1]]
        return x

    def keep(x: Tensor, hook: Any) -> None:
        kept["q"] = x[:, :, receiver[1]].clone()

    def send(x: Tensor, hook: Any) -> Tensor:
        x = x.clone()
        x[:, :, receiver[1]] = kept["q"]
        return x

    query = f"blocks.{receiver[0]}.attn.hook_q"
    names = [f"blocks.{i}.{n}" for i in range(3) for n in ("attn.hook_z", "hook_mlp_out")]
    model.run_with_hooks(observations, fwd_hooks=[*((n, freeze) for n in names), (query, keep)])
    logits = model.run_with_hooks(observations, fwd_hooks=[(query, send)])
    return contrast.measure(logits)[0].double().numpy() - contrast.values[1]


def test_path_patching_is_two_plain_forwards(contrast: Contrast) -> None:
    found = paths(contrast, "q")
    with torch.no_grad():
        for sender, receiver in (((0, 0), (1, 1)), ((0, 1), (2, 0)), ((1, 1), (2, 1))):
            expected = path_by_hand(contrast, sender, receiver)
            (s, h), (r, k) = sender, receiver
            np.testing.assert_allclose(found[2 * s + h, 2 * r + k], expected, atol=1e-5)
    assert np.abs(found).max() > 1e-3
    assert not found[2:, :4].any() and not found[:, :2].any()


def test_a_sender_that_writes_nothing_has_no_paths(contrast: Contrast) -> None:
    found = paths(without_heads(contrast, (1, 1)), "v")
    np.testing.assert_allclose(np.delete(found, 3, axis=0), 0, atol=1e-6)


def test_metrics_on_logits_one_can_count() -> None:
    clean, corrupted = torch.tensor([[2.0, 0.0, 1.0]]), torch.tensor([[0.0, 1.5, 2.0]])
    readout = Readout.of(clean, corrupted)
    assert (readout.clean_action.item(), readout.other_action.item()) == (0, 1)
    assert readout.changed.item() and readout.rows(torch.tensor([0])).changed.item()
    assert logit_difference(corrupted, readout).item() == pytest.approx(-1.5)
    assert kl(clean, readout).item() == pytest.approx(0, abs=1e-6)
    p, q = clean.softmax(-1)[0], corrupted.softmax(-1)[0]
    assert kl(corrupted, readout).item() == pytest.approx(float((p * (p / q).log()).sum()))
    assert probability(corrupted, readout).item() == pytest.approx(float(q[0]))


@pytest.fixture(scope="module")
def loaded() -> LoadedRun:
    return LoadedRun(find_run("grid"))


@pytest.mark.parametrize(
    ("analysis", "edit", "options"),
    [
        (sweep_patches, "swap", {"components": ("residual post", "attention out", "head z")}),
        (attribute_patches, "history", {"components": ("residual pre", "head z", "pattern")}),
        (attribute_logits, "move", {}),
        (action_lens, "add", {}),
        (patch_paths, "swap", {"inputs": ("v",)}),
    ],
)
def test_on_the_bundled_model(
    loaded: LoadedRun, analysis: Any, edit: str, options: dict, tmp_path: Path
) -> None:
    result = analysis(loaded, Setting(edit, pairs=4, pool=2, lags=2), **options)
    table = result.to_dataframe()
    assert len(table) and not table.isna().any().any()
    assert result.caption().startswith(f"4 pairs of episodes that differ in one edit ({edit}: ")
    assert result.figure().to_dict()["data"]
    assert f"(edit: {edit}" in result.figure().layout.title.text
    assert all(0 <= claim.p <= 1 and claim.sentence for claim in result.claims())
    assert result.save(tmp_path / "it").exists()

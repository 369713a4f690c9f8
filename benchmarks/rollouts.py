"""Cached decoding, as roll-outs do it: beside TransformerLens' own cache, and under a controller.

    rollout.b1.speedup_vs_tl           one row; the same logits to 1e-4, checked
    rollout.controlled_time_vs_off     256 rows with a low-rank controller on the stream, or none

Products are float32 beside TransformerLens, and what the preset has otherwise.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from transformer_lens.cache.key_value_cache import TransformerLensKeyValueCache

from benchmarks.decoding import decoding, shown
from benchmarks.measuring import Setting, Values, in_turn, ratios
from irl_lens.config.presets import preset
from irl_lens.hooks import LowRankController
from irl_lens.models.base import TrajectoryModel, hook_name
from irl_lens.models.fast import FastPath
from irl_lens.training.pretrain import PretrainJob


def measure(setting: Setting) -> Values:
    """Times both."""
    job = PretrainJob(preset(setting.preset), 0, setting.device)
    job.model.frozen()
    steps, rows = (8, 4) if setting.small else (40, 256)
    one, many = (shown(job.stream[0].observations, n, steps).to(setting.device) for n in (1, rows))
    return _one_row(job.model, one, setting) | _controlled(job.fast, many, setting)


def _one_row(model: TrajectoryModel, one: Tensor, setting: Setting) -> Values:
    calls = {"ours": decoding(FastPath(model), one), "tl": by_transformer_lens(model, one)}
    torch.testing.assert_close(calls["ours"](), calls["tl"](), atol=1e-4, rtol=0)
    took = in_turn(calls, setting)
    return {
        "rollout.b1.milliseconds_a_step": [1e3 * t / one.shape[1] for t in took["ours"]],
        "rollout.b1.speedup_vs_tl": ratios(took["tl"], took["ours"]),
    }


def _controlled(fast: FastPath, many: Tensor, setting: Setting) -> Values:
    layer, model = fast.model.n_layers // 2, fast.model
    controller = LowRankController.random(model.d_model, 16, hook_name(layer)).to(fast.device)
    decode = decoding(fast, many)

    def controlled() -> Tensor:
        with controller.attached(model):
            return decode()

    took = in_turn({"off": decode, "on": controlled}, setting)
    return {
        "rollout.b256.milliseconds_a_step": [1e3 * t / many.shape[1] for t in took["off"]],
        "rollout.controlled_time_vs_off": ratios(took["on"], took["off"]),
    }


def by_transformer_lens(model: TrajectoryModel, observations: Tensor) -> Callable[[], Tensor]:
    """Returns what reads the observations one step at a time with TransformerLens' own cache."""
    rows, cfg = len(observations), model.hooked.cfg

    @torch.no_grad()
    def decode() -> Tensor:
        cache = TransformerLensKeyValueCache.init_cache(cfg, observations.device, rows)
        logits = []
        for step, x in enumerate(observations.split(1, 1)):
            # Given observations it would want a mask of their shape, a column an entry.
            attended = torch.ones(rows, step + 1, dtype=torch.long, device=x.device)
            told = {"past_kv_cache": cache, "attention_mask": attended, "start_at_layer": 0}
            logits.append(model.hooked(model.hooked.embed(x), **told))
        return torch.cat(logits, dim=1)

    return decode

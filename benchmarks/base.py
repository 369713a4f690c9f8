"""Training of the base: the fast path beside TransformerLens and beside plain PyTorch.

    base.train.*       forward and backward through the same batch and weights
    base.gemm_share    2 * 3 * (weights of products) * (valid steps) / (seconds of a training step)
                       over what a large product of the same type reaches a second
    paper.*            steps of ``paper-grid``'s base, products as ``auto``, all rows at once on a
                       graphics card; hours of all its steps, each taken for as long

Attention, the optimiser's own products and padding are in the time of a step and not in its count.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from benchmarks.measuring import Setting, Values, in_turn, ratios
from benchmarks.plain import PlainModel
from irl_lens.config.presets import preset
from irl_lens.models.base import TrajectoryModel
from irl_lens.models.fast import FastPath
from irl_lens.training.pretrain import PretrainJob


def measure(setting: Setting) -> Values:
    """Times passes and whole steps."""
    job = PretrainJob(preset(setting.preset), 0, setting.device)
    observations = job.fast.tensor(job.stream[0].observations)
    found = passes(job.model, observations, setting) | _steps(job, setting)
    return {f"base.{name}": numbers for name, numbers in found.items()}


def measure_paper(setting: Setting) -> Values:
    """Times steps of the paper's base, which are long."""
    chosen = preset("smoke" if setting.small else "paper-grid")
    rows = chosen.pretrain.chunk if setting.device.type == "cpu" else chosen.pretrain.batch
    config = replace(chosen.pretrain, precision="auto", chunk=rows)
    found = _steps(PretrainJob(replace(chosen, pretrain=config), 0, setting.device), setting)
    hours = [config.steps * each / 3.6e6 for each in found["step.milliseconds"]]
    return {f"paper.{name}": numbers for name, numbers in found.items()} | {"paper.hours": hours}


def passes(model: TrajectoryModel, observations: Tensor, setting: Setting) -> Values:
    """Times forward and backward by each way there is."""
    plain = PlainModel(model)

    def autocast(x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, torch.bfloat16):
            return plain(x)

    forwards = {
        "fast": FastPath(model).logits,
        "tl": model,
        "torch": plain,
        "fast_bf16": FastPath(model, "bfloat16").logits,
        "torch_bf16": autocast,
    }
    calls = {name: _there_and_back(forward, observations) for name, forward in forwards.items()}
    took = in_turn(calls, setting)
    return {
        "train.milliseconds": [1e3 * seconds for seconds in took["fast"]],
        "train.speedup_vs_tl": ratios(took["tl"], took["fast"]),
        "train.bf16_speedup_vs_tl": ratios(took["tl"], took["fast_bf16"]),
        "train.time_vs_torch": ratios(took["fast"], took["torch"]),
        "train.bf16_time_vs_autocast": ratios(took["fast_bf16"], took["torch_bf16"]),
    }


def _there_and_back(forward: Callable[[Tensor], Tensor], x: Tensor) -> Callable[[], None]:
    return lambda: forward(x).sum().backward()


def _steps(job: PretrainJob, setting: Setting) -> Values:
    side, dtype = (64 if setting.small else 2_048), job.fast.dtype
    a, b = torch.randn(2, side, side, device=job.fast.device).to(dtype)
    took = in_turn({"step": lambda: job.step(1), "product": lambda: a @ b}, setting)
    tokens = int(job.stream[1].mask.sum())
    step = [6 * _weights(job.model) * tokens / seconds for seconds in took["step"]]
    peak = [2 * side**3 / seconds for seconds in took["product"]]
    return {
        "step.milliseconds": [1e3 * seconds for seconds in took["step"]],
        "tokens_per_s": [tokens / seconds for seconds in took["step"]],
        "gemm_share": ratios(step, peak),
    }


def _weights(model: TrajectoryModel) -> int:
    """Weights that every step of a trajectory is multiplied by; an embedding is looked up."""
    heads = model.hooked.unembed.W_U.numel() + model.next_observation.weight.numel()
    fused = [FastPath(model).weights[layer] for layer in range(model.n_layers)]
    return heads + sum(w.qkv.numel() + w.out.numel() + 2 * w.mlp_in.numel() for w in fused)

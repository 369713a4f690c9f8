"""The PyPI package metacontroller-pytorch 0.3.3 (Phil Wang), as the oracles see it.

``pip install irl-lens[peers]`` installs it. Its own forward runs in every call. Three of its
modules are hooked meanwhile: the readouts are made to draw the oracles' samples, the linear
map to the gate's logit is shifted, and the decoder's input z and output U are recorded. All
options but sizes are the defaults. The version is pinned, as the hooks name internals.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any
from unittest.mock import patch

import torch
from metacontroller import MetaController, Transformer  # pyright: ignore[reportMissingImports]
from torch import Tensor, nn

from irl_lens.conformance import Adapter, Discovery, Rollout

STATE, ACTIONS = 6, 4
"""Width of the states, and number of actions, of the adapter's own batches."""


class MetaControllerPytorch(Adapter):
    """An untrained ``MetaController`` on an untrained ``Transformer``.

    Its decoder has biases, so its zero code is not the identity and it does not claim so; the
    control that is none is a zero controller, every U = 0.

    Args:
        seed: Seed of the weights.
        frozen: Turn the base's gradients off first, which the package leaves to its user.
    """

    def __init__(self, seed: int = 0, frozen: bool = False) -> None:
        self.name = f"metacontroller-pytorch {version('metacontroller-pytorch')}"
        self.name += ", base frozen by its user" * frozen
        self.d_model, self.n_z = 16, 8
        body = {"depth": 1, "attn_dim_head": 8, "heads": 2}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.base = Transformer(
                self.d_model,
                state_embed_readout={"num_continuous": STATE},
                action_embed_readout={"num_discrete": ACTIONS},
                lower_body=dict(body),
                upper_body=dict(body),
            ).eval()
            self.meta = MetaController(
                self.d_model,
                dim_meta_controller=16,
                dim_latent=self.n_z,
                hypernetwork_low_rank=4,
                internal_sequence_embedder={**body, "polar_pos_emb": True},
                action_proposer={**body, "polar_pos_emb": True},
            ).eval()
        self.base.requires_grad_(not frozen)

    def discover(self, stream: Tensor, lengths: Tensor, noise: Tensor, shift: float) -> Discovery:
        """``MetaController.forward`` in the discovery phase."""

        def draw(params: Tensor, **_: Any) -> Tensor:
            mean, log_var = params.unbind(dim=-1)
            return mean + (0.5 * log_var).exp() * noise

        with self._hooked(draw, shift) as decoded:
            change, made = self.meta(stream, discovery_phase=True, episode_lens=lengths)
        codes, factors = decoded[0]
        left, right = self.meta.to_hyper_network_weights(factors)
        mean, log_var = made.action_dist.unbind(dim=-1)
        return Discovery(
            proposals=made.actions,
            codes=codes,
            beta=made.switch_beta,
            mu=mean,
            log_sigma=0.5 * log_var,
            kl=made.kl_loss,
            controlled=stream + change,
            matrix=left @ right.mT,
        )

    def null(self, stream: Tensor) -> Tensor:
        """The stream under U = 0: the decoder made to return zeros."""
        handle = self.meta.decoder.register_forward_hook(lambda *call: torch.zeros_like(call[2]))
        try:
            change, _ = self.meta(stream, discovery_phase=True)
        finally:
            handle.remove()
        return stream + change

    def rollout(self, proposals: Tensor, cached: bool, shift: float) -> Rollout:
        """``Transformer.forward`` in the internal RL phase, by steps or at once."""
        rows, steps, _ = proposals.shape
        generator = torch.Generator().manual_seed(0)
        states = torch.randn(rows, steps, STATE, generator=generator)
        actions = torch.randint(ACTIONS, (rows, steps - 1), generator=generator)
        spans = [(t, t + 1) for t in range(steps)] if cached else [(0, steps)]
        outputs, switched, cache = [], [], None
        drawn = iter([proposals[:, a:b] for a, b in spans])
        with self._hooked(lambda params, **_: next(drawn), shift) as decoded:
            for a, b in spans:
                logits, cache = self.base(
                    states[:, a:b],
                    actions[:, max(a - 1, 0) : b - 1] if b > 1 else None,
                    meta_controller=self.meta,
                    cache=cache,
                    return_cache=True,
                )
                outputs.append(logits)
                switched.append(cache.prev_hiddens.meta_controller.switch_beta > 0.5)
        codes = [z for z, _ in decoded]
        return Rollout(*(torch.cat(parts, dim=1) for parts in (codes, switched, outputs)))

    def backward(self) -> tuple[nn.Module, nn.Module]:
        """The losses of the discovery phase, as the package's README adds them up."""
        generator = torch.Generator().manual_seed(0)
        states = torch.randn(4, 9, STATE, generator=generator)
        actions = torch.randint(ACTIONS, (4, 9), generator=generator)
        self.base.zero_grad()
        self.meta.zero_grad()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # the package draws its samples from torch's own generator
            losses = self.base(states, actions, meta_controller=self.meta, discovery_phase=True)
        (losses.action_recon + 0.1 * losses.kl).backward()
        return self.base, self.meta

    @contextmanager
    def _hooked(self, draw: Any, shift: float) -> Iterator[list[tuple[Tensor, Tensor]]]:
        """Draws samples by ``draw``, shifts the gate, and collects what the decoder saw."""
        decoded: list[tuple[Tensor, Tensor]] = []
        meta = self.meta
        handles = [
            meta.to_switching_unit_beta.register_forward_hook(lambda *call: call[2] + shift),
            meta.decoder.register_forward_hook(
                lambda _, inputs, output: decoded.append((inputs[0], output))
            ),
        ]
        discovery, acting = meta.emitter_to_action_mean_log_var, meta.action_proposer_mean_log_var
        try:
            with patch.object(discovery, "sample", draw), patch.object(acting, "sample", draw):
                yield decoded
        finally:
            for handle in handles:
                handle.remove()


def with_frozen_base() -> MetaControllerPytorch:
    """The same with ``requires_grad_(False)`` called on the base, which the paper asks for."""
    return MetaControllerPytorch(frozen=True)

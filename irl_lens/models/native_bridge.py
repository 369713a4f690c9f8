"""A base of irl-lens as a native TransformerBridge of TransformerLens 4, with the same logits.

    bridge = load()                                          # of the files beside this script
    logits = bridge(bridge.W_E[observations].sum(-2))        # columns of whole numbers
    logits = bridge(dense @ bridge.W_E + bias)               # with real ones, see columns.json

``irl-lens export`` writes this script beside the weights. It needs torch, safetensors and
transformer-lens 4, and no irl-lens, which needs transformer-lens 3.

TransformerLens 4 converts the weights by itself. It has no ALiBi; that enters where rotary
positions would, as one more coordinate of queries and keys:

    [q_i, 1] . [k_j, sqrt(d) slope_h j] / sqrt(d) = q_i . k_j / sqrt(d) + slope_h j

which is ALiBi's -slope_h (i - j) but for a number a row, and that the softmax does not see.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

TANH = {"gelu_fast": "gelu_new", "gelu_pytorch_tanh": "gelu_new"}
"""Names of one function, of which TransformerLens 4 knows one."""
OURS = ("embed.b_E", "alibi.slopes")
"""Weights that TransformerLens has no place for."""


class Alibi(nn.Module):
    """ALiBi in the place of rotary positions.

    Args:
        slopes: One a head.
        scale: What attention divides scores by.
    """

    slopes: Tensor

    def __init__(self, slopes: Tensor, scale: float) -> None:
        super().__init__()
        self.register_buffer("slopes", slopes * scale, persistent=False)

    def apply_rope(self, q: Tensor, k: Tensor, *, position_ids: Tensor) -> tuple[Tensor, Tensor]:
        """Adds the coordinate to queries and keys ``[batch, heads, pos, d_head]``."""
        bias = self.slopes[:, None, None] * position_ids[:, None, :, None].to(self.slopes)
        one = torch.ones_like(q[..., :1])
        return torch.cat([q, one], -1), torch.cat([k, bias.to(k)], -1)


def load(folder: Path | str = Path(__file__).parent) -> Any:
    """Returns the TransformerBridge.

    Args:
        folder: What ``irl-lens export`` wrote.
    """
    from transformer_lens.config import TransformerBridgeConfig
    from transformer_lens.model_bridge import TransformerBridge
    from transformer_lens.utilities.tl_checkpoint_conversion import (  # pyright: ignore
        convert_tl_checkpoint,
    )

    settings = json.loads((Path(folder) / "config.json").read_text())
    settings["act_fn"] = TANH.get(settings["act_fn"], settings["act_fn"])
    config = TransformerBridgeConfig(**settings | {"positional_embedding_type": "rotary"})
    bridge: Any = TransformerBridge.boot_native(config)
    weights = load_file(Path(folder) / "weights.safetensors")
    slopes = weights["alibi.slopes"]
    plain = {name: weight for name, weight in weights.items() if name not in OURS}
    bridge.load_state_dict(convert_tl_checkpoint(plain, config), strict=True)
    for block in bridge.blocks:
        attention = block.attn.original_component
        attention.rotary = Alibi(slopes, attention.scale)
    bridge.cfg.positional_embedding_type = "alibi"
    return bridge.eval()

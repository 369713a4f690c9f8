"""A base for plain TransformerLens: its configuration and weights, under TransformerLens' names.

    config.json          settings of a HookedTransformerConfig
    weights.safetensors  a HookedTransformer's, ``embed.b_E`` where there are real columns, and
                         ``alibi.slopes``, one a head
    columns.json         what the rows of W_E stand for, and the outputs
    native_bridge.py     loads them into TransformerLens 4

Observations enter as embeddings, e = sum_k W_E[i_k] + sum_j (x_j / s_j) W_E[j] + b_E
(:mod:`irl_lens.models.observations`), since TransformerLens embeds one token a step.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from transformer_lens.components.abstract_attention import AbstractAttention

from irl_lens.files.json_files import write_json
from irl_lens.files.tensors import pack_tensors, write_bytes
from irl_lens.models import native_bridge
from irl_lens.models.base import TrajectoryModel

SETTINGS = (
    *("n_layers", "d_model", "n_heads", "d_head", "d_mlp", "act_fn", "d_vocab", "d_vocab_out"),
    *("normalization_type", "positional_embedding_type"),
)
"""What a HookedTransformerConfig is made of, but for ``n_ctx``."""


def export_base(model: TrajectoryModel, folder: Path | str, n_ctx: int) -> None:
    """Writes the files.

    Args:
        model: The base.
        folder: Where to; made when it is missing.
        n_ctx: Longest sequence that the exported model takes.
    """
    folder, hooked = Path(folder), model.hooked
    slopes = AbstractAttention.create_alibi_multipliers(hooked.cfg.n_heads).flatten()
    weights = {name: p.detach() for name, p in hooked.named_parameters()}
    write_bytes(folder / "weights.safetensors", pack_tensors(weights | {"alibi.slopes": slopes}))
    write_bytes(folder / "native_bridge.py", Path(native_bridge.__file__).read_bytes())
    columns = {
        "categorical": [
            {"name": name, "first": int(first), "values": size}
            for name, first, size in zip(
                model.spec.names, model.spec.offsets, model.spec.sizes, strict=True
            )
        ],
        "real": [asdict(column) for column in model.spec.reals],
        "actions": model.actions.labels,
    }
    write_json(folder / "columns.json", columns)
    settings = {name: getattr(hooked.cfg, name) for name in SETTINGS}
    write_json(folder / "config.json", settings | {"n_ctx": n_ctx})

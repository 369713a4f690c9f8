#!/usr/bin/env bash
# transformer-lens 3.9.0: the attention scores of an ALiBi model (hook_attn_scores) depend on the
# longest input that the model saw before, while pattern and logits do not. Whoever ablates,
# patches or compares scores gets another answer for the same input.
#
# ALiBi's bias is the same for all keys of a query up to a constant, which softmax removes. The
# model keeps the table of the longest input so far and takes its last rows, so that the constant
# grows with that input: setting a score to 0 then means something else.
#
# Seen on Python 3.11, torch 2.13.0:
#   logits, largest difference after a longer input:           0.0000
#   attention scores, largest difference after a longer input: 2.1875
#   effect on the logits of a score set to 0: before 0.3153, after 0.3341
#
# Exits with 1 if it is no longer so.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 transformer-lens==3.9.0 transformers==5.23.0

"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import sys

import torch
from transformer_lens import HookedTransformer, HookedTransformerConfig

SCORES = "blocks.0.attn.hook_attn_scores"
torch.manual_seed(0)
config = HookedTransformerConfig(
    n_layers=1, d_model=16, n_ctx=64, d_head=8, n_heads=2, d_vocab=11, act_fn="gelu",
    positional_embedding_type="alibi", seed=0,
)
model = HookedTransformer(config).eval().requires_grad_(False)
tokens, longer = torch.randint(11, (1, 5)), torch.randint(11, (1, 40))


def ablate(scores, hook):
    scores = scores.clone()
    scores[..., 1:, 0] = 0
    return scores


def look():
    logits, cache = model.run_with_cache(tokens)
    ablated = model.run_with_hooks(tokens, fwd_hooks=[(SCORES, ablate)])
    visible = torch.ones(5, 5, dtype=torch.bool).tril()
    return logits, cache[SCORES][..., visible], float((ablated - logits).abs().max())


logits, scores, effect = look()
model(longer)
again, shifted, other = look()
same, moved = float((again - logits).abs().max()), float((shifted - scores).abs().max())
print(f"logits, largest difference after a longer input:           {same:.4f}")
print(f"attention scores, largest difference after a longer input: {moved:.4f}")
print(f"effect on the logits of a score set to 0: before {effect:.4f}, after {other:.4f}")
sys.exit(not (same < 1e-5 and moved > 0.1 and abs(effect - other) > 1e-3))
PYTHON

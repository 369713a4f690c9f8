#!/usr/bin/env bash
# transformer-lens 3.9.0: HookedTransformer.generate on tokens, with its default key-value cache
# and the default (learned, "standard") positions, gives other tokens than without the cache, from
# the second new one on. No error. With rotary or ALiBi positions both agree. So whoever compares
# generation with an intervention and a whole forward pass compares two models.
#
# Seen on Python 3.11, torch 2.13.0, a model of random weights without a tokenizer:
#   standard: cache 16 16 30 48 17 48 17 32 no cache 16 33 1 16 33 32 33 49
#   rotary:   cache 47 9 47 0 6 26 26 23 no cache 47 9 47 0 6 26 26 23
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

tokens, agree = torch.randint(50, (1, 6), generator=torch.Generator().manual_seed(0)), {}
for positions in ("standard", "rotary"):
    config = HookedTransformerConfig(
        n_layers=2, d_model=16, n_ctx=64, d_head=8, n_heads=2, d_vocab=50, act_fn="gelu", seed=0,
        positional_embedding_type=positions, initializer_range=1.0,
        rotary_dim=8 if positions == "rotary" else None,
    )
    model = HookedTransformer(config).eval().requires_grad_(False)
    with_cache, without = (
        model.generate(
            tokens, max_new_tokens=8, do_sample=False, use_past_kv_cache=use, stop_at_eos=False,
            return_type="tokens", prepend_bos=False, verbose=False,
        )[0, 6:].tolist()
        for use in (True, False)
    )
    print(f"{positions}: cache", *with_cache, "no cache", *without)
    agree[positions] = with_cache == without
sys.exit(not (agree["rotary"] and not agree["standard"]))
PYTHON

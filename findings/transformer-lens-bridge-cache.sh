#!/usr/bin/env bash
# transformer-lens 3.9.0 with transformers 5.24.0, which its requirements allow (>=5.9.0):
# a TransformerBridge that decodes with a key-value cache attends to the newest token alone.
# No error and no warning of it: the logits are others, greedy generate() (whose default is the
# cache) gives other tokens than without the cache, and the cache stays empty. transformers
# renamed the argument that attention is handed its cache by, from past_key_values to cache; the
# bridge's attention looks for the old name. With transformers 5.23.0 all of it agrees.
#
# Seen on Python 3.11, torch 2.13.0:
#   transformers 5.24.0
#   logits token by token with a cache, largest difference from the whole sequence: 11.48
#   tokens in the cache after 6 were given: 0
#   generate with the cache:    25 21 29 43 31 6 43 43
#   generate without the cache: 25 31 25 13 25 2 35 36
#
# Exits with 1 if it is no longer so.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 transformer-lens==3.9.0 transformers==5.24.0

"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import sys

import torch
import transformers
from transformer_lens.model_bridge.sources import build_bridge_from_module
from transformers import DynamicCache, GPT2Config, GPT2LMHeadModel

torch.manual_seed(0)
config = GPT2Config(
    n_layer=2, n_embd=16, n_head=2, n_positions=64, vocab_size=50, bos_token_id=0,
    eos_token_id=0, initializer_range=1.0,
)
model = GPT2LMHeadModel(config).eval().requires_grad_(False)
tokens = torch.randint(50, (1, 6))
bridge = build_bridge_from_module(model, "GPT2LMHeadModel", hf_config=config)

cache = DynamicCache()
whole = bridge(tokens)
steps = [bridge(t, past_key_values=cache, use_cache=True) for t in tokens.split(1, dim=1)]
off, held = float((torch.cat(steps, 1) - whole).abs().max()), cache.get_seq_length()
with_cache, without = (
    bridge.generate(
        tokens, max_new_tokens=8, do_sample=False, use_past_kv_cache=use, stop_at_eos=False,
        return_type="tokens", verbose=False,
    )[0, 6:].tolist()
    for use in (True, False)
)
print("transformers", transformers.__version__)
print(f"logits token by token with a cache, largest difference from the whole sequence: {off:.2f}")
print("tokens in the cache after 6 were given:", held)
print("generate with the cache:   ", *with_cache)
print("generate without the cache:", *without)
sys.exit(not (off > 0.1 and held == 0 and with_cache != without))
PYTHON

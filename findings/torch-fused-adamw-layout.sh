#!/usr/bin/env bash
# torch 2.13.0: AdamW(fused=True) on a processor takes the gradient of one entry for another's, and
# says nothing, where a gradient does not lie in memory as its parameter does. Such gradients come of
# torch.autograd.grad, as of a weight that is used transposed; loss.backward() lays them out anew.
#
# Seen on Python 3.11:
#   entries of 8 that go against their gradient: 8 not fused, 4 fused
#
# Exits with 1 if it is no longer so.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6

"$folder/venv/bin/python" - <<'PYTHON'
import sys

import torch


def right(fused: bool) -> int:
    """Entries that a step moves against their gradient."""
    weight = torch.nn.Parameter(torch.zeros(4, 2))
    loss = (weight.T * torch.tensor([[1.0, 1, 1, 1], [-1, -1, -1, -1]])).sum()
    (weight.grad,) = torch.autograd.grad(loss, weight)
    assert weight.stride() == (2, 1) and weight.grad.stride() == (1, 4)
    torch.optim.AdamW([weight], lr=0.1, fused=fused).step()
    return int((weight.sign() == -weight.grad.sign()).sum())


plain, fused = right(False), right(True)
print(f"entries of 8 that go against their gradient: {plain} not fused, {fused} fused")
sys.exit(not (plain == 8 and fused < 8))
PYTHON

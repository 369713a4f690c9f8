#!/usr/bin/env bash
# safetensors 0.8.0: the same tensors with the same metadata give other bytes at each call, as the
# entries of the metadata are written in any order. A file with two entries or more therefore has
# no hash of its own: neither a build nor a cache that compares files by hash can rely on it. With
# one entry, such as the JSON of all, the bytes are the same each time.
#
# Seen on Python 3.11, numpy 2.4.6:
#   three entries, 200 calls: 6 different files
#   one entry, 200 calls: 1 file
#
# Exits with 1 if it is no longer so.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet safetensors==0.8.0 numpy==2.4.6

"$folder/venv/bin/python" - <<'PYTHON'
import json
import sys

import numpy as np
from safetensors.numpy import save

tensors = {"weight": np.ones(2, np.float32)}
metadata = {"step": "1", "stage": "base", "seed": "0"}
several = {save(tensors, metadata) for _ in range(200)}
one = {save(tensors, {"all": json.dumps(metadata)}) for _ in range(200)}
print(f"three entries, 200 calls: {len(several)} different files")
print(f"one entry, 200 calls: {len(one)} file")
sys.exit(not (len(several) > 1 and len(one) == 1))
PYTHON

#!/usr/bin/env bash
# minari 0.5.4: byte images come back as others. An observation or action space of uint8, 0 to 255 and
# 32 x 32 or more, is written as JPEG unless jpeg_encoding=False is said, and what is read is a
# different picture; an array of 31 x 32 comes back as it was. And minari[hdf5] by itself can do
# neither: Pillow, which makes the JPEGs, is imported by all storage and asked for by nothing.
#
# Seen on Python 3.11, numpy 2.4.6, h5py 3.16.0, gymnasium 1.4.0:
#   without Pillow: ModuleNotFoundError: No module named 'PIL'
#   (31, 32) with jpeg_encoding=True: largest difference 0
#   (32, 32) with jpeg_encoding=True: largest difference 36
#   (32, 32) with jpeg_encoding=False: largest difference 0
#
# Exits with 1 if it is no longer so.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "minari[hdf5]==0.5.4" numpy==2.4.6 h5py==3.16.0 gymnasium==1.4.0
cat >"$folder/images.py" <<'PYTHON'
import sys

import numpy as np
from gymnasium.spaces import Box, Discrete
from minari.data_collector import EpisodeBuffer
from minari.dataset.minari_storage import MinariStorage

off = {}
for shape, jpeg in (((31, 32), True), ((32, 32), True), ((32, 32), False)):
    folder = f"{sys.argv[1]}/{shape[0]}-{jpeg}"
    space = Box(0, 255, shape, np.uint8)
    storage = MinariStorage.new(folder, space, Discrete(2), jpeg_encoding=jpeg)
    seen = np.random.default_rng(0).integers(0, 256, (3, *shape), np.uint8)
    storage.update_metadata({"dataset_id": "images-v0", "minari_version": "0.5.4"})
    once = [0.0, 0.0]
    storage.update_episodes([EpisodeBuffer(
        observations=seen, actions=[0, 1], rewards=once, terminations=once, truncations=once
    )])
    [episode] = storage.get_episodes([0])
    off[shape, jpeg] = int(np.abs(episode["observations"].astype(int) - seen).max())
    print(f"{shape} with jpeg_encoding={jpeg}: largest difference {off[shape, jpeg]}")
sys.exit([difference > 20 for difference in off.values()] != [False, True, False])
PYTHON
mkdir "$folder/alone" "$folder/both"
alone="$("$folder/venv/bin/python" "$folder/images.py" "$folder/alone" 2>&1 | tail -n 1 || true)"
echo "without Pillow: $alone"
[[ "$alone" == *"No module named 'PIL'"* ]]
"$folder/venv/bin/pip" install --quiet pillow==13.0.0
"$folder/venv/bin/python" "$folder/images.py" "$folder/both"
